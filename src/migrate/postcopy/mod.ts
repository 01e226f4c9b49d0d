/**
 * Post-copy: the guest runs at the destination while the rest of its RAM crosses.
 *
 * @module
 */
export {
  type AgreedPostcopy,
  agreedPostcopy,
  hasPreempt,
  postcopyCapabilities,
  postcopyStreams,
} from "./agreed.ts";
export { PostcopyStart } from "./start.ts";
export { type Beginning, untilBegun, untilMayResume } from "./settle.ts";
export { inPostcopy, POSTCOPY_PAUSED } from "./status.ts";
export { NO_POSTCOPY_THERE, postcopyProblemsHere, postcopyProblemsThere } from "./support.ts";
export { BACK_SOCKET, takeBack, type TakeBackOptions } from "./take_back.ts";
export { pauseAgain } from "./pause_again.ts";
