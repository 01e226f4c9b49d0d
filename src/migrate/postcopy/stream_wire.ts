/**
 * The numbers of QEMU's migration stream that a resumed post-copy uses; no logic. Source: QEMU's
 * migration/{savevm,ram,migration}.[ch], the same in 7.2, 10.0 and 11.1. All numbers are big-endian.
 *
 *     Stream (source):        sections, each begins with a u8 type
 *     Command (source):       u8 COMMAND, u16 command, u16 length, payload
 *     RAM section (source):   u8 SECTION_PART or SECTION_END, u32 section, words
 *     Footer (source):        u8 SECTION_FOOTER, u32 section; not with machine types before 2.4
 *     Word of a RAM section:  u64 page address with flags in the low bits, then by the flags
 *                             u8 length and name of a block, a page or its one byte
 *     Return path message:    u16 type, u16 length, payload
 *     Bitmap (destination):   after RP_RECV_BITMAP: u64 bytes, that many bytes, u64 BITMAP_END
 *
 * @module
 */

/** Types of sections. */
export const SECTION_EOF = 0;
export const SECTION_PART = 2;
export const SECTION_END = 3;
export const SECTION_COMMAND = 8;
export const SECTION_FOOTER = 0x7e;

/** Commands of the source (`enum qemu_vm_cmd`). */
export const CMD_OPEN_RETURN_PATH = 1;
export const CMD_PING = 2;
export const CMD_POSTCOPY_RESUME = 9;
export const CMD_RECV_BITMAP = 10;

/** Flags of a word in a RAM section. */
export const RAM_ZERO = 0x02;
export const RAM_PAGE = 0x08;
export const RAM_EOS = 0x10;
export const RAM_CONTINUE = 0x20;
export const RAM_MULTIFD_FLUSH = 0x200;
/** The flags above; the rest of the low bits must be clear. Pages are at least 1 KiB apart. */
export const RAM_KNOWN = RAM_ZERO | RAM_PAGE | RAM_EOS | RAM_CONTINUE | RAM_MULTIFD_FLUSH;
export const RAM_FLAGS = 0x3ff;

/** Messages on the return path (`enum mig_rp_message_type`). */
export const RP_SHUT = 1;
export const RP_PONG = 2;
export const RP_RECV_BITMAP = 5;
export const RP_RESUME_ACK = 6;

/** The payload of a resume that is accepted (`MIGRATION_RESUME_ACK_VALUE`). */
export const RESUME_ACK_VALUE = 1;
/** What follows a bitmap (`RAMBLOCK_RECV_BITMAP_ENDING`). */
export const BITMAP_END = 0x0123456789abcdefn;
