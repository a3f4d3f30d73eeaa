/**
 * From a prompt to a pull request: a person decides from another process, and kills leave nothing done twice in the repository.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { rounds } from "../processes/rounds.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { type Ended, type Example, runExample, startExample, until } from "./example-process.ts";
import { killAtRandom } from "./random-kills.ts";
import { durableNodes } from "./witness.ts";

const EXAMPLE = "examples/dev-workflow/main.ts";
const TITLES = [
  "Say what is wanted: slugify(title) makes a title fit for an address",
  "slugify() joins words",
  "slugify() leaves signs out",
  "slugify() takes accents off",
];
/** The keys of those who commit, oldest first. */
const KEYS = ["dev/plan#1", "dev/build[0]/code#1", "dev/build[1]/code#1", "dev/build[2]/code#1"];
const RUNS = ["dev", "dev/build[0]", "dev/build[1]", "dev/build[2]"];

test("a person decides from another process, while it waits or while nothing runs; what is refused is not published", async () => {
  const house = new House();
  const asked = async (id: string): Promise<Example> => {
    const example = house.start("--id", id);
    await until(example, () => example.printed().includes(`  pawl send ${id} approval '{"approved": true, "by": "ana"}' --store ${house.store}\n`));
    return example;
  };
  const send = (id: string, decision: string): Promise<Ended> => runExample("src/serve/bin.ts", ["send", id, "approval", decision, "--store", house.store]);

  await (await asked("dev")).kill("group");
  expect(await send("dev", '{"approved": false, "by": "eva"}')).toMatchObject({ code: 6, output: expect.stringContaining("recorded") });
  const { code, output } = await house.start().ended;
  expect(code, output).toBe(0);
  expect(output).toContain("done before, and not done again: plan build[0] build[1] build[2]\n");
  expect(output).toContain("eva has refused it\n");
  expect(house.titles()).toEqual(TITLES);
  expect(house.pullRequests()).toEqual([]);

  const example = await asked("other");
  expect(await send("other", '{"approved": true, "by": "ana"}')).toMatchObject({ code: 0 });
  expect(await example.ended).toMatchObject({ code: 0, output: expect.stringContaining("pull request: ") });
  expect(house.pullRequests()).toEqual(["other.md"]);
}, 120_000);

test("killed at random moments, it ends with each commit once and one pull request, and nothing that was done is done again", async () => {
  let late = 0;
  await rounds({ short: 1, long: 50 }, async (chance) => {
    const house = new House();
    const said: string[] = [];
    const deaths: { readonly durable: readonly string[]; readonly lives: number }[] = [];
    const died = (output: string): void => {
      said.push(output);
      const durable = RUNS.flatMap((run) => [...durableNodes(house.store, run)].map((node) => `${run} ${node}`));
      deaths.push({ durable, lives: said.length });
      const keys = house.keys();
      late += keys.filter((key) => !durable.includes(key.replace(/^(.*)\/(.*)#1$/, "$1 $2"))).length;
    };
    const { code, output } = await killAtRandom({
      store: house.store,
      start: () => house.start("--yes"),
      chance,
      kills: 3,
      commits: 14,
      world: () => house.head(),
      died,
    });
    said.push(output);
    expect(code, output).toBe(0);
    expect(house.titles()).toEqual(TITLES);
    expect(house.keys()).toEqual(KEYS);
    expect(house.pullRequests()).toEqual(["dev.md"]);
    expect(readFileSync(join(house.folder, "pull-requests", "dev.md"), "utf8")).toContain("approved by --yes\n");
    for (const { durable, lives } of deaths)
      for (const node of durable) expect(said.slice(lives).join(""), `${node} was durable and was done again`).not.toContain(`  ${node}: `);
    house.remove();
  });
  console.log(`killed ${late} times between a push and the commit that says so`);
}, 1_800_000);

/** A folder in which the example works. */
class House {
  readonly #temporary = temporaryFolder();
  readonly folder = join(this.#temporary.path, "house");
  readonly store = join(this.folder, "pawl.db");
  readonly #clones = join(this.#temporary.path, "clones");

  constructor() {
    mkdirSync(this.#clones);
  }

  start(...words: string[]): Example {
    return startExample(EXAMPLE, ["--folder", this.folder, ...words], { TMPDIR: this.#clones });
  }

  /** What the branch is at; undefined before it is there. */
  head(): string | undefined {
    const file = join(this.folder, "origin.git/refs/heads/agent/dev");
    return existsSync(file) ? readFileSync(file, "utf8") : undefined;
  }

  titles(): string[] {
    return this.#log("%s");
  }

  /** Of the nodes that committed. */
  keys(): string[] {
    return this.head() === undefined ? [] : this.#log("%(trailers:key=Made-By,valueonly,separator=%x2C)");
  }

  pullRequests(): string[] {
    const folder = join(this.folder, "pull-requests");
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  remove(): void {
    this.#temporary.remove();
  }

  #log(format: string): string[] {
    const words = ["log", "--reverse", `--format=${format}`, "main..agent/dev"];
    const text = execFileSync("git", ["-C", join(this.folder, "origin.git"), ...words], { encoding: "utf8" });
    return text.split("\n").filter((line) => line !== "");
  }
}
