/**
 * `pawl watch`: follows a run that another process executes, until it ends. Looks only; stopping it stops nothing else.
 */
import { follow } from "./follow.ts";
import { tellOutcome } from "./outcome.ts";
import { makeReporter } from "./reporter.ts";
import { standingOf } from "./standing.ts";
import { findRun, isOver, openToLook, runWords } from "./stored.ts";
import { canDraw } from "./terminal.ts";
import { NO_WORKER, workersOf } from "./workers.ts";

export interface WatchOptions {
  readonly store?: string;
  readonly json?: true;
}

export async function watch(id: string, options: WatchOptions): Promise<number> {
  const isJson = options.json === true;
  await using pawl = await openToLook(options.store);
  const run = await findRun(pawl, id);
  const view = await run.status();
  const { kind, workflow, commitNo } = view;
  const hasNoWorker = !isOver(view) && (await workersOf(pawl, run)).length === 0;
  const reporter = await makeReporter({ isJson, canDraw: canDraw(), kind });
  const standing = await standingOf(run, kind);
  try {
    const end = await follow(run, {
      standing,
      reporter,
      toldCommitNo: commitNo,
      begins: () => {
        reporter.begins({ run, workflow, standing, isContinued: true, words: runWords(run.id, options.store) });
        if (hasNoWorker) reporter.says(`no worker has it: ${NO_WORKER}`);
      },
      pawl,
    });
    return await tellOutcome(run, end, reporter, options);
  } finally {
    reporter.ends();
  }
}
