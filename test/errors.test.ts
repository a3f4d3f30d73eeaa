/**
 * The table of errors: each has a status, and what can be tried again says so over HTTP, too.
 */
import { expect, test } from "vitest";
import { ERRORS, type ErrorCode, PawlError, statusOfError } from "../src/errors.ts";

const CODES = Object.keys(ERRORS) as ErrorCode[];
/** Too much at once, an agent's failure, not now, not in time. */
const PASSING = [429, 502, 503, 504];
const KNOWN = [400, 401, 404, 409, 410, 413, 422, 500, ...PASSING];

test("every error has a status, and carries it", () => {
  for (const code of CODES) {
    expect(KNOWN, code).toContain(statusOfError(code));
    expect(new PawlError(code).status).toBe(statusOfError(code));
  }
});

test("what may be tried again has the status of what passes, and what is the caller's has not", () => {
  for (const code of CODES) if (ERRORS[code].retryable) expect(PASSING, code).toContain(statusOfError(code));
  expect(CODES.filter((code) => statusOfError(code) === 429)).toEqual(["PAWL_MAILBOX_FULL"]);
  const unknown = ["PAWL_RUN_NOT_FOUND", "PAWL_SCHEDULE_NOT_FOUND", "PAWL_BREAKER_NOT_FOUND", "PAWL_UNKNOWN_LIMIT"];
  expect(CODES.filter((code) => statusOfError(code) === 404)).toEqual(expect.arrayContaining(unknown));
  expect(CODES.filter((code) => code.startsWith("PAWL_DEFINITION_")).map(statusOfError)).toEqual([400, 409, 409, 409]);
});
