/**
 * One play of a workflow: it is started in pawl and runs to its end, with one crash on the way or none.
 */
import type { RunView, Startable, Workflow } from "../index.ts";
import { type CrashPoint, RUN_ID, Stage } from "./stage.ts";
import { textOf } from "./story.ts";

const LIVES_MAX = 10;

export class WorkflowPlay {
  readonly stage: Stage;
  readonly #build: (stage: Stage) => Startable;
  readonly #input: unknown;
  readonly #inspect: (view: RunView) => void;

  /** `inspect` sees the run after each of its commits. */
  constructor(build: (stage: Stage) => Startable, input: unknown, crash: CrashPoint | undefined, inspect: (view: RunView) => void) {
    this.#build = build;
    this.#input = input;
    this.#inspect = inspect;
    this.stage = new Stage(crash, async () => inspect(await this.#view()));
  }

  /** What can be seen at the end. */
  async run(): Promise<string> {
    const { stage } = this;
    for (let lives = 0; lives < LIVES_MAX; lives++) {
      const workflow = (await stage.boot(() => this.#build(stage))) as Workflow;
      const { process } = stage;
      let isOver = false;
      let failure: { readonly error: unknown } | undefined;
      const story = async (): Promise<void> => {
        const run = await process.pawl.start(workflow, { id: RUN_ID, input: this.#input });
        await run.ended();
        isOver = true;
      };
      if (process.isAlive) story().catch((error: unknown) => (failure = { error }));
      await stage.clock.until(() => isOver || failure !== undefined || !process.isAlive);
      if (failure !== undefined && process.isAlive) throw failure.error;
      if (process.isAlive) return this.#ending();
    }
    throw new Error("the workflow does not end");
  }

  async #ending(): Promise<string> {
    await this.stage.clock.settle();
    const view = await this.#view();
    this.#inspect(view);
    const nodes = await (await this.stage.reader.run(RUN_ID)).nodes();
    this.stage.process.kill();
    const { status, degraded, output, failure } = view;
    return textOf({
      status,
      ...(degraded && { degraded }),
      output,
      failure: failure?.message,
      nodes: Object.fromEntries(nodes.map((node) => [node.id, node.status])),
    });
  }

  async #view(): Promise<RunView> {
    return (await this.stage.reader.run(RUN_ID)).status();
  }
}
