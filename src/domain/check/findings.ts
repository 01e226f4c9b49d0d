/**
 * What the check of a domain finds.
 *
 * @module
 */
export {
  type CodedProblem as Problem,
  Collected,
  type Findings,
  refusalOf as domainRefusal,
} from "../../migrate/mod.ts";
