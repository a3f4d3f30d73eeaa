/**
 * What is said of a run when it is started: what it is looked up by, for whom it works, and how urgent it is.
 */
import { PawlError } from "../errors.ts";
import { type LaneOptions, laneOf } from "./lane.ts";
import type { StartFacts } from "./pending.ts";

const WORD_MAX = 256;

/** Throws PAWL_INVALID_VALUE, PAWL_INVALID_ID. */
export function factsOf({ subject, tags, ...lane }: { readonly subject?: string; readonly tags?: readonly string[] } & LaneOptions): StartFacts {
  return {
    ...(subject !== undefined && { subject: checkedWord(subject, "subject") }),
    ...(tags !== undefined && { tags: tags.map((tag) => checkedWord(tag, "tag")) }),
    lane: laneOf(lane),
  };
}

/** Subjects and tags are looked up as they are: no empty ones, and none that are whole documents. */
function checkedWord(text: string, what: string): string {
  if (text.length > 0 && text.length <= WORD_MAX) return text;
  throw new PawlError("PAWL_INVALID_VALUE", { message: `a ${what} has ${text.length} characters, but must have 1 to ${WORD_MAX}` });
}
