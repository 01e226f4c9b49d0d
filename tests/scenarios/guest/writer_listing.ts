/**
 * The program of the writing guest as an assembler lists it: offset, bytes, source. The bytes are what runs.
 *
 * 16-bit real mode, loaded by the BIOS to 0x7c00. At each tick of the BIOS (18.2 a second) it writes as many blocks of
 * 32 KiB to its first disk as are due, one behind the other, over and over. `writerSector` fills in what stands from
 * `per_tick` to `blocks`.
 */
export const WRITER_LISTING = `
000  eb3a                               jmp short start
002  9090                               times 2 nop
004  564d464449534b31      magic:       db "VMFDISK1"
00c  00000000              per_tick:    dd 0
010  00000000              first:       dd 0
014  00000000              blocks:      dd 0
018  00000000              counter:     dd 0
01c  00000000              ticks:       dd 0
020  00000000              slot:        dd 0
024  00000000              due:         dd 0
028  00000000              last:        dd 0
02c  1000                  packet:      db 16, 0
02e  4000                               dw 64
030  00000010                           dw 0, 0x1000
034  0000000000000000                   dq 0
03c  fa                    start:       cli                     ; flat segments, stack below the code
03d  31c0                               xor ax, ax
03f  8ed8                               mov ds, ax
041  8ed0                               mov ss, ax
043  bc007c                             mov sp, 0x7c00
046  fc                                 cld
047  fb                                 sti
048  b80010                             mov ax, 0x1000          ; what is written: no zeroes, a mirror would punch holes for them
04b  8ec0                               mov es, ax
04d  31ff                               xor di, di
04f  b90020                             mov cx, 8192
052  66b85a5a5a5a                       mov eax, 0x5a5a5a5a
058  f366ab                             rep stosd
05b  f4                    idle:        hlt                     ; --- a tick of the BIOS: so many blocks are due, late ones are dropped
05c  66a16c04                           mov eax, [0x46c]
060  663b06287c                         cmp eax, [last]
065  74f4                               je idle
067  66a3287c                           mov [last], eax
06b  66ff061c7c                         inc dword [ticks]
070  c706267c0000                       mov word [due+2], 0
076  66a10c7c                           mov eax, [per_tick]
07a  660106247c                         add [due], eax
07f  833e267c00            write:       cmp word [due+2], 0
084  74d5                               je idle
086  ff0e267c                           dec word [due+2]
08a  66ff06187c                         inc dword [counter]     ; --- a block: each of its sectors begins with the counter
08f  b80010                             mov ax, 0x1000
092  8ec0                               mov es, ax
094  31ff                               xor di, di
096  b94000                             mov cx, 64
099  66a1187c                           mov eax, [counter]
09d  26668905              stamp:       mov [es:di], eax
0a1  81c70002                           add di, 512
0a5  e2f6                               loop stamp
0a7  66a1207c                           mov eax, [slot]
0ab  66c1e006                           shl eax, 6
0af  660306107c                         add eax, [first]
0b4  66a3347c                           mov [packet+8], eax
0b8  be2c7c                again:       mov si, packet
0bb  b80043                             mov ax, 0x4300          ; extended write
0be  b280                               mov dl, 0x80
0c0  cd13                               int 0x13
0c2  7303                               jnc done
0c4  f4                                 hlt
0c5  ebf1                               jmp again
0c7  66a1207c              done:        mov eax, [slot]         ; --- the next one
0cb  6640                               inc eax
0cd  663b06147c                         cmp eax, [blocks]
0d2  7203                               jb move
0d4  6631c0                             xor eax, eax
0d7  66a3207c              move:        mov [slot], eax
0db  eba2                               jmp write
`;
