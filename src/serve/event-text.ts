/**
 * What happened in a run, in words: an entry of its history as people say it.
 */
import type { HistoryEvent, HistoryType, NodeView } from "../index.ts";
import { machineEventText } from "./machine-text.ts";
import { branchText, groupText, overrideText } from "./node-text.ts";
import type { Tally } from "./tally.ts";
import { count, dateAndTime, durationText, oneLine } from "./text.ts";

/** What is known of a node that something happened to. */
export interface KnownNode {
  readonly kind: NodeView["kind"];
  /** When its newest attempt started and ended, to tell how long it took; left out when it is long ago. */
  readonly startedAt?: number | undefined;
  readonly endedAt?: number | undefined;
  /** Of a map or loop: its items or rounds. */
  readonly parts?: { readonly tally: Tally<unknown> } | undefined;
}

/** What happened, where the word for it is another one. */
const VERBS: Partial<Record<HistoryType, string>> = {
  "node.backingOff": "backs off",
  "node.overridden": "is set",
  "node.notTaken": "is not waited for any more",
  "node.warned": "takes longer than its warning says",
  "node.alternative": "is handed to an alternative",
  "node.compensating": "is undone",
  "node.compensated": "was undone",
  "node.compensationFailed": "could not be undone",
  "run.compensating": "undoes what was done",
  "run.timedOut": "timed out",
  "run.warned": "takes longer than its warning says",
  "run.recovered": "was taken up by a worker",
  "run.forked": "began as a fork",
  "run.resumed": "goes on after its pause",
  "run.retried": "is tried again",
  "run.continued": "goes on where it was cut off",
};

/** `web completed in 1.2s`, `web failed, attempt 3: CODE message`, `read opened with 3 items`, `kind took bug`, `approval is awaited`. */
export function eventText(event: HistoryEvent, nodeOf?: (id: string) => KnownNode | undefined): string {
  const { type, node: id, attempt, code, message } = event;
  const ofMachine = machineEventText(event);
  if (ofMachine !== undefined) return ofMachine;
  const verb = VERBS[type] ?? type.slice(type.indexOf(".") + 1);
  const reason = code === undefined ? "" : `: ${code} ${oneLine(message ?? "")}`;
  if (type === "node.overridden") return `${id} ${overrideText(event)}`;
  if (event.action !== undefined && id === undefined) return `${subjectOf(event)} ${actionText(event)}`;
  if (event.stage !== undefined) return `${subjectOf(event)} ${STAGE_VERBS[type] ?? verb}`;
  if (id === undefined) return `run ${verb}${reason}`;
  const node = nodeOf?.(id);
  const own = ownText(event, node);
  if (own !== undefined) return `${id} ${own}`;
  const nth = attempt !== undefined && (attempt > 1 || code !== undefined) ? `, attempt ${attempt}` : "";
  return `${id} ${verb}${nth}${type === "node.completed" ? `${tookText(" in ", node)}${partsText(node)}` : ""}${reason}`;
}

const STAGE_VERBS: Partial<Record<HistoryType, string>> = { "stage.warned": "takes longer than its warning says", "stage.timedOut": "timed out" };

function subjectOf({ stage }: HistoryEvent): string {
  return stage === undefined ? "run" : `stage ${stage}`;
}

/** What a recovery action has said. */
function actionText({ action, verdict, code, message }: HistoryEvent): string {
  return `was told to ${verdict} by recovery action ${action}${code === undefined ? "" : `, which failed: ${code} ${oneLine(message ?? "")}`}`;
}

/** What groups and events do that calls do not. */
function ownText(event: HistoryEvent, node: KnownNode | undefined): string | undefined {
  const { type, code, message, items, branch, dueAt, childRun, attempt, generation, action } = event;
  const kind = node?.kind;
  if (type === "node.recovering")
    return `calls recovery action ${action}${attempt === undefined ? "" : `, attempt ${attempt}`}: ${code} ${oneLine(message ?? "")}`;
  if (type === "node.recovered") return actionText(event);
  if (code === "PAWL_EVENT_TIMEOUT") return `did not come in time${type === "node.skipped" ? ": skipped" : ""}`;
  if (type === "node.completed") return kind === "event" ? `came${tookText(" after ", node)}` : undefined;
  if (type === "run.retried" && generation !== undefined) return "is tried again with another input";
  if (type !== "node.started") return undefined;
  if (action !== undefined) return `started${attempt !== undefined && attempt > 1 ? `, attempt ${attempt}` : ""} as recovery action ${action}`;
  if (items !== undefined) return `opened with ${count(items, "item")}`;
  if (childRun !== undefined) return `started${attempt !== undefined && attempt > 1 ? `, attempt ${attempt}` : ""} as run ${childRun}`;
  if (branch !== undefined) return `took ${branchText(branch)}`;
  if (kind === "when" || kind === "route") return "took no branch";
  if (kind === "event" || dueAt !== undefined) return `is awaited${dueAt === undefined ? "" : `, until ${dateAndTime(dueAt)}`}`;
  return undefined;
}

/** Of a map or loop that has ended: how many of its items did, or in which round. */
function partsText({ kind, parts }: Partial<KnownNode> = {}): string {
  const text = kind === "map" || kind === "repeat" ? groupText({ kind, branch: undefined, status: "completed" }, parts?.tally) : "";
  return parts === undefined || text === "" ? "" : `: ${text}`;
}

function tookText(before: string, { startedAt, endedAt }: Partial<KnownNode> = {}): string {
  return startedAt === undefined || endedAt === undefined ? "" : `${before}${durationText(endedAt - startedAt)}`;
}
