/**
 * What a run is looked up by, as it is given when the run is started.
 */
import { PawlError } from "../errors.ts";
import type { RunFacts } from "../store/store.ts";

const WORD_MAX = 256;

/** Throws PAWL_INVALID_VALUE. */
export function factsOf({ subject, tags }: { readonly subject?: string; readonly tags?: readonly string[] }): RunFacts | undefined {
  return subject === undefined && tags === undefined
    ? undefined
    : { subject: checkedWord(subject, "subject"), tags: tags?.map((tag) => checkedWord(tag, "tag")!) };
}

/** Subjects and tags are looked up as they are: no empty ones, and none that are whole documents. */
function checkedWord(text: string | undefined, what: string): string | undefined {
  if (text === undefined || (text.length > 0 && text.length <= WORD_MAX)) return text;
  throw new PawlError("PAWL_INVALID_VALUE", { message: `a ${what} has ${text.length} characters, but must have 1 to ${WORD_MAX}` });
}
