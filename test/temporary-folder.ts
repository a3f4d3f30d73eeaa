/**
 * A folder of a test's own, gone when the test process ends.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folders: string[] = [];
process.once("exit", () => folders.forEach((path) => rmSync(path, { recursive: true, force: true })));

export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "pawl-test-"));
  folders.push(path);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
