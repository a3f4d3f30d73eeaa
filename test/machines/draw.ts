/**
 * Writes machines/README.md: what the machines say of themselves, as drawings and tables, after words for people.
 * Run it after a change to a machine: `npm run draw`.
 */
import { writeFile } from "node:fs/promises";
import type { AnyStateMachine, AnyStateNode } from "xstate";
import { type MachineFile, type Transition, findMachines, nameOf, statesOf, transitionsOf, wordsFor } from "./definition.ts";

export const README = new URL("../../machines/README.md", import.meta.url);

const INTRODUCTION = `# The machines

Each file here is one statechart: what can be, what can happen, and what follows. A machine does nothing itself. It names what
is to be done as an action, and whoever runs it, the *host*, does it and answers with an event. So each runs as it is under
xstate's \`createActor\` with these actions provided, and in pawl under a host that commits every step before it acts.

No machine reads a clock or draws a random number: lengths come from its input, and what is drawn comes with the event.
Timers are xstate's \`after\`; their delays have names, which are given beside the states they leave.

Six machines make a run of a workflow. The **workflow** starts one **supervisor**; the supervisor has the host queue **nodes** as their
dependencies complete; each node that ends is told to the supervisor, and the supervisor's end to the workflow. What calls no agent itself
is not a node's machine but one of two others: a **group** is a node made of other nodes, which are the items of a map, the rounds of a
loop, or the members of a choice; an **event** is a node that waits for what somebody sends. They begin and end as nodes do, and the
supervisor cannot tell them apart. A **stage** times and recovers nodes beside them. A **step** is what a user's machine invokes by \`step(agent)\`. A
**breaker** says whether agents may be called at all, and a **limiter** how much of something a worker has: they belong to no run.

This page is written by \`npm run draw\`. The words in its tables stand in the machines, as \`description\`.
`;

/** What a machine asks of its host, in the order in which the machines are read. By the machine's id. */
export const WORDS: Readonly<Record<string, string>> = {
  workflow: `In a run's status \`collecting\` shows as \`running\`: to people a run runs until it has ended.

Its host
- on \`startSupervisor\` starts the supervisor, and answers with \`supervisor.settled\` when that has settled: \`degraded\` when a
  node was skipped, \`failure\` with the first failure when a node failed;
- on \`stopSupervisor\` sends the supervisor \`supervisor.stop\`;
- sends \`run.unwind\` with the failure when a node failed whose \`onFail\` is \`compensate\`; and \`run.cancel\` with \`undoes\` when
  there is something to undo;
- on \`unwindSupervisor\` sends the supervisor \`supervisor.unwind\`, and answers with \`supervisor.unwound\` when that is;
- on \`collectOutput\` puts the output together from the results, and answers \`output.collected\` or \`output.refused\`;
- starts nothing in \`paused\`; what runs may end and what is due may be queued;
- measures \`runTimeout\` in time in which the run could work: not while it waits for a timer, not while it
  is paused, and not while nobody runs it.`,
  supervisor: `Which nodes are ready is counted beside it, so its size does not grow with the run's.

Its host
- on \`startReady\` queues the nodes that depend on nothing; it is not asked again after a restart, when the host finds in its rows
  what was ready or ran;
- on \`startDependents\` queues those dependents for which the node that settled was the last they waited for, and blocks those of
  a node that failed; then sends \`nodes.exhausted\` when nothing is queued, runs or backs off;
- on \`cancelNodes\` sends \`node.cancelled\` to every node that has not settled;
- on \`stopNodes\` sends \`run.unwinds\` to every node that has not settled, then \`nodes.exhausted\` when all of them have;
- on \`compensateNext\` starts the compensation of one node, a node of its own, and tells \`node.settled\` when that has ended; or
  \`nodes.exhausted\` when there is none left.`,
  node: `An attempt that is lost with its host does not count: its node is queued again as it was before the attempt was granted.

Its host
- sends \`node.granted\` when an attempt may run: how many run at once is the host's affair;
- on \`callAgent\` calls the agent and answers \`attempt.succeeded\`, or \`attempt.failed\` with the failure and a \`jitter\` drawn
  from [0, 1);
- on \`abortAgent\` aborts the call's signal and ignores what it still answers;
- on \`stopAgent\` aborts the signal, too, and goes on to wait for the answer: what is done in spite of it is to be known;
- on \`startAction\` starts the recovery action that the failure names, or of an attempt that is warned of the next of the policy's
  \`onWarn\`, as a node of its own; and answers \`recovery.ended\` with what it said, \`continue\` if it failed itself;
- on \`stopAction\` gives that node up, if it has not ended;
- sends \`attempt.restarted\` when a recovery action of the node's stage, or run, said so.

When the attempts are used up and the policy has an \`alternative\`, that one's agent is called from then on, by its own policy.

The wait before the next attempt is \`initialIntervalMs\` · \`backoffCoefficient\`^(attempt − 1), at most \`maxIntervalMs\`, times the
jitter when the policy's is \`full\`; never less than the failure's \`retryAfterMs\`, which may exceed \`maxIntervalMs\`.`,
  stage: `Each stage with a timeout or a warning has one, and so has a run with a warning; it knows its nodes only by what it asks for.

Its host
- sends \`stage.began\` when the first of its nodes begins, and \`stage.ended\` when all of them have ended;
- sends \`stage.overdue\` and \`stage.timedOut\` when the run has worked so long since then;
- on \`startAction\` starts the next of the policy's \`onWarn\`, as a node of its own, and answers \`recovery.ended\` with what it said;
- on \`stopAction\` gives that node up, if it has not ended;
- on \`restartAttempts\` sends \`attempt.restarted\` to those of its nodes whose attempt runs;
- on \`failNodes\` ends those of its nodes that have not ended as failed, or skipped, as the policy of each says; of a run it sends the
  workflow \`run.overdue\`.`,
  group: `Its members are counted beside it, so its size does not grow with the list that a map is given. A member that fails blocks the group
beside this machine, as it blocks whatever depends on it: the group then stays \`open\` until the run ends, and goes on from there if the
member is tried again.

Its host
- on \`openGroup\` reads what the group goes by, and answers \`group.opened\` with the items, the first round or the branch found, or
  \`group.refused\` with the failure, as of a map that is given no list;
- queues the members once \`group.opened\` is told; an item or round is a node of its own, whose failures are its own;
- sends \`members.settled\` when all members are completed, skipped or not taken, at once when there are none;
- on \`closeGroup\` puts the group's result together from those of its members, and answers \`group.closed\`; of a loop that is to
  go on \`round.wanted\`, with one more round, or \`round.skipped\` when its last round was passed over; or \`group.refused\`.

A group that was opened is restored as \`open\`; one that was not opens anew.`,
  event: `It is started when what it depends on is there, like a node, and asks its host for nothing.

Its host
- checks what is sent, and tells \`event.received\` once; what comes before the event is awaited it keeps, and tells it then;
- arms \`eventTimeout\` in steady time, which goes on while nobody runs the run, or not at all when the policy's \`timeoutMs\` is
  without end.`,
  limiter: `What is held, what waits, windows and shares are counted beside it. It is never stored: a worker that begins again has no share,
and what is on the disk is the row that all workers amend, each within a transaction.

Its host looks at it whenever something was taken, given back or wanted, and when the row has changed: it tells how the worker stands
to the limit, \`limit.enough\`, \`limit.short\` or \`limit.over\`, then at most one reason for a change of the row. It
- on \`giveBack\` uses no more than what is left from that moment on, and on \`leave\` nothing;
- on these and on \`ask\`, \`withdraw\` and \`write\` writes what the row becomes with the next group of commits, or alone, and sends \`row.written\` when that is durable;
- counts on a greater share only then, and on a smaller one at once.`,
  step: `The one machine here that invokes: \`attempt\` is a promise, and xstate tells the machine how it settled. So it is run by the
host of users' machines, as a child of the one that invoked it.

Its host
- starts \`attempt\` when a permit is granted, and again, under the same number, when it was lost with its process;
- answers with the agent's result; with \`{ error, waitMs }\` when another attempt is to follow after so many ms; or with the error
  itself, which no transition takes: then xstate ends the step with it, and tells the machine that invoked it.`,
  breaker: `It belongs to no run: all workers of a store share it, and it never ends. What it keeps is small; the calls that a rate is made of
are counted beside it.

Its host
- sends \`call.failed\` and \`call.succeeded\` of calls that were let through, with how long they took, and with the \`tally\` of its
  window when the policy has a \`rate\`; with \`probe\`, the id of its lease, when the call was a probe;
- asks for a lease by \`probe.asked\` before it makes a probe, and finds it among \`leases\` if it was granted; sends
  \`probe.dropped\` when the probe was not made, or was cut off;
- sends \`owners.gone\` when it learns that workers are no more, whose probes then nobody makes;
- gives all events instants of one time line that does not go back.`,
};

/** The whole page. */
export function page(files: readonly MachineFile[]): string {
  const order = Object.keys(WORDS);
  const placeOf = ({ machine }: MachineFile): number => (order.includes(machine.id) ? order.indexOf(machine.id) : order.length);
  const sorted = files.toSorted((a, b) => placeOf(a) - placeOf(b));
  return [INTRODUCTION, ...sorted.map(chapter)].join("\n");
}

function chapter({ file, machine }: MachineFile): string {
  return [
    `## ${machine.id}`,
    "",
    `[\`${file}\`](${file}): ${machine.root.description ?? ""}`,
    "",
    WORDS[machine.id] ?? "",
    "",
    "```mermaid",
    drawing(machine),
    "```",
    "",
    table(machine),
    "",
  ].join("\n");
}

/** The machine as a Mermaid state diagram. Throws on nested states, which it does not draw yet. */
export function drawing(machine: AnyStateMachine): string {
  const states = statesOf(machine);
  const nested = states.find((node) => node.path.length > 1);
  if (nested !== undefined) throw new Error(`${machine.id}: the state ${nameOf(nested)} is nested, which draw.ts does not draw`);
  return [
    "stateDiagram-v2",
    ...machine.root.initial.target.map((node) => `  [*] --> ${nameOf(node)}`),
    ...transitionsOf(machine).map((transition) => `  ${transition.state} --> ${transition.target ?? transition.state}: ${label(transition)}`),
    ...states.filter(({ type }) => type === "final").map((node) => `  ${nameOf(node)} --> [*]`),
  ].join("\n");
}

function label(transition: Transition): string {
  return `${trigger(transition)}${condition(transition)}${transition.actions.length > 0 ? ` / ${transition.actions.join(", ")}` : ""}`;
}

const trigger = ({ event, delay }: Transition): string => (delay === undefined ? event || "always" : `after ${delay}`);
const condition = ({ guard }: Transition): string => (guard === undefined ? "" : ` [${guard}]`);

function table(machine: AnyStateMachine): string {
  const transitions = transitionsOf(machine);
  return ["| state | what it is | on entry | takes | timers |", "|---|---|---|---|---|", ...statesOf(machine).map((node) => row(node, transitions))].join("\n");
}

function row(node: AnyStateNode, transitions: readonly Transition[]): string {
  const own = transitions.filter(({ state }) => state === nameOf(node));
  const cell = (chosen: readonly Transition[]): string => chosen.map(step).join("<br>");
  return `| ${[
    `**${nameOf(node)}**${node.type === "final" ? " (final)" : ""}`,
    node.description ?? "",
    wordsFor(node.entry)
      .map((action) => `\`${action}\``)
      .join(", "),
    cell(own.filter(({ delay }) => delay === undefined)),
    cell(own.filter(({ delay }) => delay !== undefined)),
  ].join(" | ")} |`;
}

const step = (transition: Transition): string => `\`${trigger(transition)}${condition(transition)}\` → ${transition.target ?? "stays"}`;

if (import.meta.main) await writeFile(README, page(await findMachines()));
