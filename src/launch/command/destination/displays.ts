/**
 * Screens and sound without a user's session. Pure.
 *
 * @module
 */
import type { QemuCommand, QemuOption } from "../command.ts";
import { fieldOf, type OptionValue, withFields } from "../option_value.ts";
import { has, mapOptions, type Notes } from "./notes.ts";

/** What QEMU itself uses where it finds no window system (system/vl.c, `qemu_setup_display`). */
const VNC: QemuOption = { name: "vnc", value: "localhost:0,to=99" };
const WINDOWS = ["default", "gtk", "sdl", "cocoa", "curses", "spice-app"];
/** Sound backends that need no user's session or sound card. */
const SILENT = ["none", "wav", "spice"];
/** Keys that every sound backend has; `none` has no others. */
const SOUND_KEYS =
  /^(?:driver|id|model|timer-period|(?:in|out)\.(?:mixing-engine|fixed-settings|frequency|channels|format|voices|buffer-length))$/;

/** Translates displays and sound. */
export function translateDisplays(command: QemuCommand, notes: Notes): QemuCommand {
  const remote = has(command, "vnc", "spice");
  let shown = remote || has(command, "nographic", "display");
  const translated = mapOptions(command, (option, value) => {
    switch (option.name) {
      case "display": {
        const type = fieldOf(value, "type") ?? "";
        if (type === "dbus") {
          notes.problem(
            option,
            "it needs the D-Bus of a user's session. Give --qemu-command a command line with " +
              "-display none or -vnc",
          );
        }
        if (!WINDOWS.includes(type)) return option;
        if (remote) {
          notes.warning(option, "the destination's QEMU has no window; its remote display stays");
          return { name: "display", value: "none" };
        }
        shown = true;
        notes.warning(option, windowless());
        return VNC;
      }
      case "audiodev":
      case "audio":
        return translateSound(option, value, notes);
      default:
        return option;
    }
  });
  // Without any display option QEMU opens a window where it can, and fails without a window system
  // when it was built for one.
  return shown ? translated : { ...translated, options: [...translated.options, VNC] };
}

function windowless(): string {
  return "the destination's QEMU has no window; it shows the screen by VNC on localhost, " +
    "at the first free port from 5900";
}

function translateSound(option: QemuOption, value: OptionValue, notes: Notes): QemuOption {
  const driver = fieldOf(value, "driver") ?? "";
  if (SILENT.includes(driver)) return option;
  notes.warning(option, "the destination's QEMU has no sound output; the guest keeps its device");
  const fields = value.fields.filter(({ key }) => SOUND_KEYS.test(key))
    .map((f) => f.key === "driver" ? { ...f, value: "none" } : f);
  if (option.value!.startsWith("{")) {
    const text = fields.map((f) => `${f.key}=${f.value.replaceAll(",", ",,")}`).join(",");
    return { ...option, value: text };
  }
  return withFields(value, fields);
}
