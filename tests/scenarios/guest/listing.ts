/**
 * The guest's program as an assembler lists it: offset, bytes, source. The bytes are what runs.
 *
 * 16-bit real mode, loaded by the BIOS to 0x7c00. Everything it knows, the counter included, is in
 * RAM: a guest that goes on counting after a migration brought its memory along. `bootSector` fills in
 * what stands from `run_id` to `disks`; 0x7e00 is the buffer that is written.
 */
export const LISTING = `
000  eb68                      jmp short start
002  9090                      times 2 nop
004  564d4652494e4731  magic:       db "VMFRING1"
00c  0000000000000000  run_id:      dq 0
014  00000000          ring_start:  dd 0
018  00000000          ring_length: dd 0
01c  00000000          wait_us:     dd 0
020  00000000          ram_pages:   dd 0
024  00000000          ram_step:    dd 0
028  00000000          disks:       dd 0
02c  00000000          counter:     dd 0
030  00000000          lap:         dd 0
034  00000000          slot:        dd 0
038  00000000          ram_page:    dd 0
03c  00000000          ram_lap:     dd 0
040  00000000          ram_faults:  dd 0
044  1000              packet:      db 16, 0
046  0100                           dw 1
048  007e0000                       dw 0x7e00, 0
04c  0000000000000000               dq 0
054  0000000000000000  gdt:         dq 0
05c  ffff00000092cf00               dq 0x00cf92000000ffff
064  0f00              gdtr:        dw 15
066  547c0000                       dd gdt
06a  fa                start:  cli                         ; flat segments, stack below the code
06b  31c0                      xor ax, ax
06d  8ed8                      mov ds, ax
06f  8ec0                      mov es, ax
071  8ed0                      mov ss, ax
073  bc007c                    mov sp, 0x7c00
076  fc                        cld
077  fb                        sti
078  66ff062c7c        next:   inc dword [counter]         ; --- one round: fill the sector
07d  be047c                    mov si, magic               ; magic and run id, as they stand here
080  bf007e                    mov di, 0x7e00
083  b90800                    mov cx, 8
086  f3a5                      rep movsw
088  66a12c7c                  mov eax, [counter]
08c  66ab                      stosd
08e  66a1307c                  mov eax, [lap]
092  66ab                      stosd
094  6631c0                    xor eax, eax
097  66ab                      stosd
099  66a1407c                  mov eax, [ram_faults]
09d  66ab                      stosd
09f  66a12c7c                  mov eax, [counter]
0a3  b97800                    mov cx, 120                 ; the rest: the counter again and again
0a6  f366ab                    rep stosd
0a9  66a1147c                  mov eax, [ring_start]       ; where it goes
0ad  660306347c                add eax, [slot]
0b2  66a34c7c                  mov [packet+8], eax
0b6  b280                      mov dl, 0x80                ; BIOS number of the first disk
0b8  88d0              disk:   mov al, dl                  ; --- write it to each disk
0ba  247f                      and al, 0x7f
0bc  a2187e                    mov [0x7e18], al
0bf  be447c            write:  mov si, packet
0c2  b80043                    mov ax, 0x4300              ; extended write
0c5  52                        push dx
0c6  cd13                      int 0x13
0c8  5a                        pop dx
0c9  730b                      jnc done
0cb  52                        push dx
0cc  b045                      mov al, 'E'                 ; refused: say so, wait a tick, again
0ce  baf803                    mov dx, 0x3f8
0d1  ee                        out dx, al
0d2  5a                        pop dx
0d3  f4                        hlt
0d4  ebe9                      jmp write
0d6  fec2              done:   inc dl                      ; next disk
0d8  88d0                      mov al, dl
0da  247f                      and al, 0x7f
0dc  3a06287c                  cmp al, [disks]
0e0  72d6                      jb disk
0e2  66a1347c                  mov eax, [slot]             ; --- next slot, next lap
0e6  6640                      inc eax
0e8  663b06187c                cmp eax, [ring_length]
0ed  7208                      jb move
0ef  66ff06307c                inc dword [lap]
0f4  6631c0                    xor eax, eax
0f7  66a3347c          move:   mov [slot], eax
0fb  668b0e247c                mov ecx, [ram_step]         ; --- change some pages of RAM
100  67e35d                    jecxz rest
103  fa                        cli
104  0f0116647c                lgdt [gdtr]                 ; "unreal" mode: fs gets a limit of 4 GiB
109  0f20c0                    mov eax, cr0
10c  0c01                      or al, 1
10e  0f22c0                    mov cr0, eax
111  bb0800                    mov bx, 8
114  8ee3                      mov fs, bx
116  24fe                      and al, 0xfe
118  0f22c0                    mov cr0, eax
11b  668b1e387c        page:   mov ebx, [ram_page]         ; the page holds what the last lap left
120  66c1e30c                  shl ebx, 12
124  6681c300002000            add ebx, 0x200000
12b  66a13c7c                  mov eax, [ram_lap]
12f  6466673b03                cmp eax, [fs:ebx]
134  7405                      je whole
136  66ff06407c                inc dword [ram_faults]      ; or it does not: RAM was lost
13b  6640              whole:  inc eax
13d  6466678903                mov [fs:ebx], eax
142  66a1387c                  mov eax, [ram_page]
146  6640                      inc eax
148  663b06207c                cmp eax, [ram_pages]
14d  7208                      jb stay
14f  66ff063c7c                inc dword [ram_lap]
154  6631c0                    xor eax, eax
157  66a3387c          stay:   mov [ram_page], eax
15b  6649                      dec ecx
15d  75bc                      jnz page
15f  fb                        sti
160  f6062c7c7f        rest:   test byte [counter], 0x7f   ; --- a sign of life every 128 rounds
165  7506                      jnz pause
167  b02e                      mov al, '.'
169  baf803                    mov dx, 0x3f8
16c  ee                        out dx, al
16d  8b161c7c          pause:  mov dx, [wait_us]           ; --- wait, if asked to
171  8b0e1e7c                  mov cx, [wait_us+2]
175  89c8                      mov ax, cx
177  09d0                      or ax, dx
179  7404                      jz again
17b  b486                      mov ah, 0x86                ; BIOS wait, steps of about 1 ms
17d  cd15                      int 0x15
17f  e9f6fe            again:  jmp next
`;
