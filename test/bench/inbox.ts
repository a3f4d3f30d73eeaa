/**
 * A client beside a worker: what it asks of runs goes through their inbox, and its answer comes back through the file.
 * The latency of sends, cancels and starts against the same in the worker's own process; what both take while nothing
 * happens, for they look at the file all the time.
 * NOT measured: clients on a busy file; event ids.
 */
import { join } from "node:path";
import { type Benchmark, type Row, type Settings, inTemporaryFolder, limited, medianRatio, quantile, rowOf } from "./harness.ts";
import { type Servant, withServants } from "./servant.ts";
import type { InboxOrders } from "./inbox-child.ts";

type Process = Servant<InboxOrders>;

/** Latencies in ms, by what was done. */
type Answer = Readonly<Record<What, readonly number[]>> & { readonly idle: readonly number[] };
type What = "send" | "sendAtOnce" | "cancel" | "start" | "sendHere" | "sendAtOnceHere" | "cancelHere" | "startHere";

const SEEN_MAX_MS = 100;
const AT_ONCE = 100;
const IDLE_MS = 5_000;

export const inbox: Benchmark = {
  name: "inbox",
  title: "inbox: a client beside a worker",
  async run(settings) {
    const answers: Answer[] = [];
    for (let round = 0; round < settings.rounds; round++) answers.push(await measure(settings));
    return rowsOf(answers, settings.quick ? 20 : AT_ONCE);
  },
};

function measure({ quick, warmUp }: Settings): Promise<Answer> {
  const count = quick ? 20 : AT_ONCE;
  const work = ([worker, client]: Process[]): Promise<Answer> =>
    inTemporaryFolder(async (folder) => {
      const file = join(folder, "pawl.db");
      await worker!.ask("openFile", file, true);
      await client!.ask("openFile", file, false);
      if (warmUp) await measureWith(worker!, client!, "warm", count);
      const latencies = await measureWith(worker!, client!, "run", count);
      const idle = await Promise.all([worker!, client!].map((process) => process.ask("idle", quick ? 100 : IDLE_MS)));
      return { ...latencies, idle };
    });
  return withServants<InboxOrders, Answer>(import.meta.resolve("./inbox-child.ts"), 2, work);
}

async function measureWith(worker: Process, client: Process, name: string, count: number): Promise<Omit<Answer, "idle">> {
  const of = async (process: Process, runs: string): Promise<Record<"send" | "sendAtOnce" | "cancel" | "start", number[]>> => {
    await worker.ask("startCounters", runs, count);
    const send = await process.ask("sendEach", runs, count);
    const sendAtOnce = await process.ask("sendAtOnce", runs, count, 3);
    const cancel = await process.ask("cancelEach", runs, Math.ceil(count / 2));
    const calledAts = await process.ask("startEach", `${runs}-start`, Math.ceil(count / 2));
    const beganAts = await worker.ask("beganAt", `${runs}-start`, calledAts.length);
    return { send, sendAtOnce, cancel, start: calledAts.map((at, i) => beganAts[i]! - at) };
  };
  const there = await of(client, `${name}-there`);
  const here = await of(worker, `${name}-here`);
  return { ...there, sendHere: here.send, sendAtOnceHere: here.sendAtOnce, cancelHere: here.cancel, startHere: here.start };
}

function rowsOf(answers: readonly Answer[], count: number): Row[] {
  const at = (what: What, share: number): number[] => answers.map((answer) => quantile(answer[what], share));
  const pair = (words: string, there: What, here: What): Row[] => [
    limited({ ...rowOf(`${words}, from a client: p50`, "ms", at(there, 0.5)), ratio: medianRatio(at(there, 0.5), at(here, 0.5)) }, SEEN_MAX_MS),
    rowOf(`${words}, from a client: p99`, "ms", at(there, 0.99)),
    rowOf(`${words}, in the worker: p50`, "ms", at(here, 0.5)),
    rowOf(`${words}, in the worker: p99`, "ms", at(here, 0.99)),
  ];
  const idle = (who: number): number[] => answers.map((answer) => answer.idle[who]! * 100);
  return [
    ...pair("send, one by one", "send", "sendHere"),
    ...pair(`send, ${count} at once to ${count} runs`, "sendAtOnce", "sendAtOnceHere"),
    ...pair("cancel", "cancel", "cancelHere"),
    ...pair("start until its first node starts", "start", "startHere"),
    rowOf("the worker, while nothing happens", "% of a cpu", idle(0)),
    rowOf("the client, while nothing happens", "% of a cpu", idle(1)),
  ];
}
