/**
 * Without the AI SDK everything else of pawl works; who imports `pawl/ai` is told what to install.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** As if it were not installed. */
const WITHOUT = `
import { registerHooks } from "node:module";
registerHooks({
  resolve(specifier, context, next) {
    if (specifier === "ai") throw Object.assign(new Error("Cannot find package 'ai'"), { code: "ERR_MODULE_NOT_FOUND" });
    return next(specifier, context);
  },
});`;

function importing(name: string): string {
  const program = `${WITHOUT}
try {
  console.log(Object.keys(await import(${JSON.stringify(name)})).includes("open") ? "opened" : "there");
} catch (error) {
  console.log([error.code, error.message, error.next].join(" | "));
}`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--conditions=pawl-source", "--input-type=module", "--eval", program], {
    cwd: root,
    encoding: "utf8",
  });
  return stdout.trim() || stderr;
}

test("without the AI SDK pawl works, and pawl/ai says what to install", () => {
  expect(importing("pawl")).toBe("opened");
  expect(importing("pawl/testing")).toBe("there");
  expect(importing("pawl/ai")).toBe('PAWL_PEER_MISSING | pawl/ai needs the package "ai", which is not installed | npm install ai@7');
});
