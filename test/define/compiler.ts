/**
 * The compiler, as users of the package have it: programs import pawl by its declarations, which are made once.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const root = fileURLToPath(new URL("../..", import.meta.url));

export class Compiler {
  /** Where programs may stand: inside the repository, so that "pawl" is found by name. */
  readonly place: string;

  constructor(name: string) {
    this.place = join(root, "test/define/misuse/generated", name);
    mkdirSync(this.place, { recursive: true });
    const compilerOptions = { noEmit: false, emitDeclarationOnly: true, declaration: true, noCheck: true, rootDir: root, outDir: "types" };
    const errors = this.#printed("tsconfig.types.json", { compilerOptions, files: [join(root, "src/index.ts")] });
    if (errors !== "") throw new Error(errors);
  }

  /** What it prints about these files. */
  compiled(files: readonly string[], ...options: string[]): string {
    return this.#printed("tsconfig.json", { compilerOptions: { paths: { pawl: ["./types/src/index.d.ts"] } }, files }, ...options);
  }

  #printed(config: string, settings: object, ...options: string[]): string {
    writeFileSync(join(this.place, config), JSON.stringify({ extends: join(root, "tsconfig.json"), include: [], ...settings }));
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    return spawnSync(process.execPath, [tsc, "-p", join(this.place, config), "--pretty", "false", ...options], { encoding: "utf8", cwd: root }).stdout;
  }

  remove(): void {
    rmSync(this.place, { recursive: true, force: true });
  }
}
