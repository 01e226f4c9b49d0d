/**
 * The program of the busy guest as an assembler lists it: offset, bytes, source. The bytes are what runs.
 *
 * Loaded by the BIOS to 0x7c00. In 32-bit mode without paging, one vCPU sleeps (`hlt`) until the timer of its local
 * APIC ticks, and then changes as many pages as are due. A tick that it misses is lost: a guest whose vCPU QEMU
 * throttles does not make up for it afterwards. A page holds the number of the lap before in its first word and its
 * own address in the second one; what they must hold is in registers, so that no stale page can hide another.
 * `busySector` fills in what stands from `rate` to `random`.
 */
export const BUSY_LISTING = `
000  eb56                               jmp short start
002  9090                               times 2 nop
004  564d464255535931      magic:       db "VMFBUSY1"
00c  00000000              rate:        dd 0
010  00000000              hz:          dd 0
014  00000000              tick_ns:     dd 0
018  00000000              pages:       dd 0
01c  00000000              base:        dd 0
020  00000000              random:      dd 0
024  00000000              ticks:       dd 0
028  00000000              written:     dd 0
02c  00000000              laps:        dd 0
030  00000000              faults:      dd 0
034  0000000000000000      gdt:         dq 0
03c  ffff0000009acf00                   dq 0x00cf9a000000ffff
044  ffff00000092cf00                   dq 0x00cf92000000ffff
04c  1700                  gdtr:        dw 23
04e  347c0000                           dd gdt
052  ff07                  idtr:        dw 0x7ff
054  00100000                           dd 0x1000
058  fa                    start:       cli                     ; flat 32-bit segments, no paging
059  31c0                               xor ax, ax
05b  8ed8                               mov ds, ax
05d  0f01164c7c                         lgdt [gdtr]
062  0f20c0                             mov eax, cr0
065  0c01                               or al, 1
067  0f22c0                             mov cr0, eax
06a  ea6f7c0800                         jmp 8:flat
06f  66b81000              flat:        mov ax, 16
073  8ed8                               mov ds, ax
075  8ec0                               mov es, ax
077  8ed0                               mov ss, ax
079  bc007c0000                         mov esp, 0x7c00
07e  fc                                 cld
07f  b0ff                               mov al, 0xff            ; no interrupt but the local APIC's timer
081  e621                               out 0x21, al
083  e6a1                               out 0xa1, al
085  bf00100000                         mov edi, 0x1000         ; every vector: the same handler
08a  b900010000                         mov ecx, 256
08f  c707337d0800          gate:        mov dword [edi], 0x80000 + tick
095  c74704008e0000                     mov dword [edi+4], 0x8e00
09c  83c708                             add edi, 8
09f  e2ee                               loop gate
0a1  0f011d527c0000                     lidt [idtr]
0a8  8b351c7c0000                       mov esi, [base]         ; --- number the pages; with random, fill them too
0ae  8b15187c0000                       mov edx, [pages]
0b4  bba28cd692                         mov ebx, 2463534242
0b9  89f7                  first:       mov edi, esi
0bb  b900040000                         mov ecx, 1024
0c0  833d207c000000                     cmp dword [random], 0
0c7  741a                               je number
0c9  89d8                  fill:        mov eax, ebx            ; xorshift32
0cb  c1e00d                             shl eax, 13
0ce  31c3                               xor ebx, eax
0d0  89d8                               mov eax, ebx
0d2  c1e811                             shr eax, 17
0d5  31c3                               xor ebx, eax
0d7  89d8                               mov eax, ebx
0d9  c1e005                             shl eax, 5
0dc  31c3                               xor ebx, eax
0de  89d8                               mov eax, ebx
0e0  ab                                 stosd
0e1  e2e6                               loop fill
0e3  c70600000000          number:      mov dword [esi], 0
0e9  897604                             mov [esi+4], esi
0ec  81c600100000                       add esi, 0x1000
0f2  4a                                 dec edx
0f3  75c4                               jnz first
0f5  89f7                               mov edi, esi            ; edi: the end; esi: the page; ebx: the lap; ebp: what the last tick left over
0f7  8b351c7c0000                       mov esi, [base]
0fd  31db                               xor ebx, ebx
0ff  31ed                               xor ebp, ebp
101  ba0000e0fe                         mov edx, 0xfee00000     ; the local APIC is on; its timer counts ns (divisor 1), over and over
106  c782f0000000ff010000               mov dword [edx+0xf0], 0x1ff
110  c782e00300000b000000               mov dword [edx+0x3e0], 0xb
11a  c7822003000020000200               mov dword [edx+0x320], 0x20020
124  a1147c0000                         mov eax, [tick_ns]
129  898280030000                       mov [edx+0x380], eax
12f  fb                    idle:        sti
130  f4                                 hlt
131  ebfc                               jmp idle
133  c705b000e0fe00000000  tick:        mov dword [0xfee000b0], 0; --- a tick; no iret: a KVM that emulates this guest has none
13d  bc007c0000                         mov esp, 0x7c00
142  ff05247c0000                       inc dword [ticks]
148  a10c7c0000                         mov eax, [rate]         ; ecx: how many pages
14d  01e8                               add eax, ebp
14f  31d2                               xor edx, edx
151  f735107c0000                       div dword [hz]
157  89d5                               mov ebp, edx
159  89c1                               mov ecx, eax
15b  e3d2                               jecxz idle
15d  010d287c0000                       add [written], ecx
163  8d4301                             lea eax, [ebx+1]
166  391e                  page:        cmp [esi], ebx          ; the page holds what the last lap left
168  7515                               jne bad
16a  397604                             cmp [esi+4], esi
16d  7510                               jne bad
16f  8906                  good:        mov [esi], eax
171  81c600100000                       add esi, 0x1000
177  39fe                               cmp esi, edi
179  730f                               jae lap
17b  e2e9                  more:        loop page
17d  ebb0                               jmp idle
17f  ff05307c0000          bad:         inc dword [faults]      ; or it does not: RAM was lost
185  897604                             mov [esi+4], esi
188  ebe5                               jmp good
18a  89c3                  lap:         mov ebx, eax
18c  40                                 inc eax
18d  891d2c7c0000                       mov [laps], ebx
193  8b351c7c0000                       mov esi, [base]
199  ebe0                               jmp more
`;
