/**
 * The program of the RAM guest as an assembler lists it: offset, bytes, source. The bytes are what
 * runs.
 *
 * Loaded by the BIOS to 0x7c00, a copy from `enter` on to 0x8000. Each vCPU goes round its own pages in
 * 32-bit mode: no interrupts, no paging, nothing that would flush a TLB. A page holds the number of the
 * lap before in its first and last words and its own address in its second one; what each of them must
 * hold is in registers, so that no stale page can hide another. `memorySector` fills in what stands
 * from `cpus` to `base`.
 */
export const MEMORY_LISTING = `
000  eb3c                      jmp short start
002  9090                      times 2 nop
004  564d464d454d3031  magic:       db "VMFMEM01"
00c  00000000          cpus:        dd 0
010  00000000          pages:       dd 0
014  00000000          spins:       dd 0
018  00000000          base:        dd 0
01c  00000000          started:     dd 0
020  0000000000000000  gdt:         dq 0
028  ffff0000009acf00          dq 0x00cf9a000000ffff
030  ffff00000092cf00          dq 0x00cf92000000ffff
038  1700              gdtr:        dw 23
03a  207c0000                  dd gdt
03e  fa                start:  cli                         ; a copy where a start-up IPI can point to
03f  31c0                      xor ax, ax
041  8ed8                      mov ds, ax
043  8ec0                      mov es, ax
045  fc                        cld
046  be567c                    mov si, enter
049  bf0080                    mov di, 0x8000
04c  b9e000                    mov cx, end-enter
04f  f3a4                      rep movsb
051  ea00800000                jmp 0:0x8000
056  fa                enter:  cli                         ; --- every vCPU: flat 32-bit segments, no paging
057  31c0                      xor ax, ax
059  8ed8                      mov ds, ax
05b  0f0116387c                lgdt [gdtr]
060  0f20c0                    mov eax, cr0
063  0c01                      or al, 1
065  0f22c0                    mov cr0, eax
068  ea17800800                jmp 8:0x8000+flat-enter
06d  66b81000          flat:   mov ax, 16
071  8ed8                      mov ds, ax
073  8ec0                      mov es, ax
075  8ed0                      mov ss, ax
077  b801000000                mov eax, 1
07c  f00fc1051c7c0000          lock xadd [started], eax    ; which one this is
084  85c0                      test eax, eax
086  751c                      jnz worker
088  833d0c7c000001            cmp dword [cpus], 1
08f  7413                      je worker
091  bf0003e0fe                mov edi, 0xfee00300         ; the first one wakes the others: INIT, then start at 0x8000
096  c70700450c00              mov dword [edi], 0x000c4500
09c  c70708460c00              mov dword [edi], 0x000c4608
0a2  31c0                      xor eax, eax
0a4  89c5              worker: mov ebp, eax                ; ebp: its state, esi: its first page
0a6  c1e50c                    shl ebp, 12
0a9  81c500000100              add ebp, 0x10000
0af  8b35107c0000              mov esi, [pages]
0b5  c1e60c                    shl esi, 12
0b8  0faff0                    imul esi, eax
0bb  0335187c0000              add esi, [base]
0c1  89f3                      mov ebx, esi                ; --- number the pages
0c3  8b0d107c0000              mov ecx, [pages]
0c9  c70300000000      number: mov dword [ebx], 0
0cf  895b04                    mov [ebx+4], ebx
0d2  c783fc0f000000000000      mov dword [ebx+0xffc], 0
0dc  81c300100000              add ebx, 0x1000
0e2  49                        dec ecx
0e3  75e4                      jnz number
0e5  31c0                      xor eax, eax                ; eax: what each page holds from the lap before
0e7  31d2                      xor edx, edx                ; edx: pages that held anything else
0e9  89f3              lap:    mov ebx, esi                ; --- one lap; what counts is in registers, RAM has copies
0eb  8b0d107c0000              mov ecx, [pages]
0f1  3b03              page:   cmp eax, [ebx]
0f3  750d                      jne bad
0f5  3b5b04                    cmp ebx, [ebx+4]
0f8  7508                      jne bad
0fa  3b83fc0f0000              cmp eax, [ebx+0xffc]
100  740c                      je good
102  42                bad:    inc edx
103  895d08                    mov [ebp+8], ebx
106  8b3b                      mov edi, [ebx]
108  897d0c                    mov [ebp+12], edi
10b  894510                    mov [ebp+16], eax
10e  40                good:   inc eax
10f  8903                      mov [ebx], eax
111  895b04                    mov [ebx+4], ebx
114  8983fc0f0000              mov [ebx+0xffc], eax
11a  48                        dec eax
11b  8b3d147c0000              mov edi, [spins]
121  4f                spin:   dec edi
122  79fd                      jns spin
124  81c300100000              add ebx, 0x1000
12a  49                        dec ecx
12b  75c4                      jnz page
12d  40                        inc eax
12e  894500                    mov [ebp], eax
131  895504                    mov [ebp+4], edx
134  ebb3                      jmp lap
`;
