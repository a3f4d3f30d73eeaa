/**
 * Those who send a run its events, at the instants of its spec, until each was answered; and what they were answered.
 */
import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../src/clock.ts";
import { isPawlError } from "../../src/errors.ts";
import { decode } from "../../src/run/codec.ts";
import type { Run } from "../../src/run/handle.ts";
import type { Spec } from "./shapes.ts";
import type { ShapeWatch } from "./shapes-watch.ts";

interface Sent {
  readonly node: string;
  readonly eventId: string;
  readonly atMs: number;
  readonly data: object;
  readonly isValid: boolean;
  isAnswered: boolean;
  /** It was said to be taken. */
  wasTaken: boolean;
}

const AGAIN_MS = 1_000;

/** What the k-th sending of an event holds. */
export function sentData(k: number): Record<string, unknown> {
  return { value: 1_000 + k, list: [{ value: k }, { value: k + 1 }], flag: k % 2 === 0, way: k === 0 ? "a" : "b" };
}

export class Senders {
  readonly violations: string[] = [];
  readonly #sent: Sent[];

  /** `wave` tells the ids of several senders of the same events apart. */
  constructor(spec: Spec, wave = "") {
    this.#sent = spec.flatMap((node, index) =>
      node.kind !== "event"
        ? []
        : node.sent.map(({ atMs, isValid }, k) => ({
            node: `n${index}`,
            eventId: `n${index}-${k}${wave}`,
            atMs,
            data: isValid ? sentData(k) : { ...sentData(k), value: "no number" },
            isValid,
            isAnswered: false,
            wasTaken: false,
          })),
    );
  }

  /** Sends what was not answered, in this process, at its instants after this one of the world. */
  sendAll(run: Run<unknown>, clock: Clock, fails: (error: unknown) => void, sinceMs = 0): void {
    for (const sent of this.#sent) if (!sent.isAnswered) clock.after(sinceMs + sent.atMs - clock.mono(), () => void this.#send(run, sent, clock).catch(fails));
  }

  async #send(run: Run<unknown>, sent: Sent, clock: Clock): Promise<void> {
    for (;;) {
      try {
        const { handled, duplicate } = await run.send({ ...sent.data, type: sent.node }, { eventId: sent.eventId });
        // of one that was consumed before nobody knows any more whether it was taken
        sent.wasTaken = handled && !duplicate;
        sent.isAnswered = true;
        if (!sent.isValid) this.violations.push(`${sent.eventId} does not fit the schema, and was answered`);
        return;
      } catch (error) {
        if (isPawlError(error, "PAWL_EVENT_REFUSED")) {
          if (sent.isValid) this.violations.push(`${sent.eventId} was refused: ${error.message}`);
          return void (sent.isAnswered = true);
        }
        // it is recorded, and will be applied once; or there is nobody any more to take it
        if (isPawlError(error, "PAWL_SEND_PENDING") || isPawlError(error, "PAWL_RUN_ENDED")) return void (sent.isAnswered = true);
        if (!isPawlError(error, "PAWL_STORE_FULL") && !isPawlError(error, "PAWL_OUTCOME_UNKNOWN")) throw error;
        await new Promise<void>((resolve) => clock.after(AGAIN_MS, resolve));
      }
    }
  }

  /** What was answered, held against what the run has. */
  contradictions(watch: ShapeWatch, runId: string, isCalm = false): string[] {
    const found: string[] = [...this.violations];
    for (const node of new Set(this.#sent.map((sent) => sent.node))) {
      const all = this.#sent.filter((sent) => sent.node === node);
      const taken = all.filter(({ wasTaken }) => wasTaken);
      const row = watch.row(runId, node);
      if (taken.length > 1) found.push(`${node} was taken ${taken.length} times`);
      if (taken.length > 0 && (row?.status === "failed" || row?.status === "skipped")) found.push(`${node} was taken, and is ${row.status}`);
      if (row?.status !== "completed") continue;
      const data = decode(row.output!);
      // in peace the first is taken, and its sender hears of it
      const [first] = all.filter(({ isValid }) => isValid).toSorted((a, b) => a.atMs - b.atMs);
      if (isCalm && (taken.length !== 1 || taken[0]!.atMs !== first?.atMs)) found.push(`${node} took another than the first that came`);
      if (taken.some((sent) => !isDeepStrictEqual(sent.data, data))) found.push(`${node} has not what was taken but ${row.output}`);
      if (!all.some((sent) => isDeepStrictEqual(sent.data, data))) found.push(`${node} has what nobody sent: ${row.output}`);
    }
    return found;
  }
}
