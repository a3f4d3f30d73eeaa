/**
 * Follows a run to its end, wherever it is: what its history says goes to the board and is told, each entry once and in
 * order.
 */
import type { Pawl, Run, RunView } from "../index.ts";
import type { Board } from "./board.ts";
import type { Reporter, Standing } from "./reporter.ts";

export interface FollowOptions {
  readonly standing: Standing;
  readonly reporter: Reporter;
  /** Entries up to this commit go to the board, but are not told: they are old. */
  readonly toldCommitNo: number;
  /** Called when those are on the board, and the telling begins. */
  readonly begins: () => void;
  /** It tells at once what is committed in this process. */
  readonly pawl: Pawl;
}

/** How often it looks for what other processes have committed. */
const LOOK_EVERY_MS = 100;
/** So many entries are taken between two turns of the event loop. */
const ENTRIES_PER_TURN = 500;

/** Resolves with what became of the run. Rejects as `run.ended()` does. */
export async function follow(run: Run<unknown>, options: FollowOptions): Promise<RunView> {
  const ending = watchEnd(run);
  const bell = new Bell();
  const unsubscribe = options.pawl.subscribe(({ runId }) => runId === run.id && bell.ring());
  const looks = setInterval(() => bell.ring(), LOOK_EVERY_MS);
  void ending.settled.then(() => bell.ring());
  try {
    let seen = await tell(run, options, 0, options.toldCommitNo);
    options.begins();
    const waits = new Waits(run, options);
    for (;;) {
      const isLast = ending.isSettled;
      if (!ending.hasFailed) seen = await tell(run, options, seen);
      if (isLast) return await ending.view;
      if (!ending.hasFailed) await waits.tell(seen);
      await bell.rung();
    }
  } catch (error) {
    await new Promise(setImmediate);
    throw ending.hasFailed
      ? await ending.view.then(
          () => error,
          (reason: unknown) => reason,
        )
      : error;
  } finally {
    clearInterval(looks);
    unsubscribe();
  }
}

/** Tells what the run waits for. */
class Waits {
  readonly #run: Run<unknown>;
  readonly #standing: Standing;
  readonly #reporter: Reporter;
  #seen = -1;
  #told = "";

  constructor(run: Run<unknown>, { standing, reporter }: FollowOptions) {
    this.#run = run;
    this.#standing = standing;
    this.#reporter = reporter;
  }

  async tell(seen: number): Promise<void> {
    if (this.#standing.kind === "workflow") return this.#tellEvents(this.#standing.board);
    if (seen === this.#seen) return;
    this.#seen = seen;
    const { waitingFor, commitNo } = await this.#run.status();
    if (commitNo === seen && waitingFor !== undefined) this.#reporter.waits(waitingFor);
  }

  /** A workflow goes on with other nodes while it waits: told are the events of which its history has told, when they are others. */
  async #tellEvents({ awaiting }: Board): Promise<void> {
    const key = Array.from(awaiting, ({ id }) => id).join(" ");
    if (key === this.#told) return;
    const awaited = awaiting.size === 0 ? [] : ((await this.#run.status()).waitingFor?.awaited ?? []);
    const told = awaited.filter(({ type }) => Array.from(awaiting, ({ id }) => id).includes(type));
    if (told.length < awaiting.size) return;
    this.#told = key;
    if (told.length > 0) this.#reporter.waits({ events: told.map(({ type }) => type), timers: [], awaited: told });
  }
}

/** Puts entries after `seen` on the board and tells those that are news; answers the last. */
async function tell(run: Run<unknown>, { standing, reporter, toldCommitNo }: FollowOptions, seen: number, upTo = Number.POSITIVE_INFINITY): Promise<number> {
  if (seen >= upTo) return seen;
  let taken = 0;
  for await (const entry of run.history(seen)) {
    if (entry.commitNo > upTo) break;
    standing.board.apply(entry);
    if (entry.commitNo > toldCommitNo) reporter.happened(entry);
    seen = entry.commitNo;
    if (++taken % ENTRIES_PER_TURN === 0) await new Promise(setImmediate);
  }
  return seen;
}

interface Ending {
  readonly view: Promise<RunView>;
  readonly settled: Promise<void>;
  isSettled: boolean;
  hasFailed: boolean;
}

function watchEnd(run: Run<unknown>): Ending {
  const view = run.ended();
  const settled = view.then(
    () => void (ending.isSettled = true),
    () => void (ending.isSettled = ending.hasFailed = true),
  );
  const ending: Ending = { view, settled, isSettled: false, hasFailed: false };
  return ending;
}

/** Remembers that it rang until it is asked. */
class Bell {
  #hasRung = false;
  #answer: (() => void) | undefined;

  ring(): void {
    this.#hasRung = true;
    this.#answer?.();
  }

  async rung(): Promise<void> {
    if (!this.#hasRung) await new Promise<void>((resolve) => (this.#answer = resolve));
    this.#hasRung = false;
    this.#answer = undefined;
  }
}
