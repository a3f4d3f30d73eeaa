/**
 * The supervisor: the phases of a DAG run. It starts nodes when their dependencies complete.
 * Which nodes are ready is counted beside it (counters are derived from rows), never in its context.
 */
import { setup } from "xstate";

export type SupervisorEvent = { type: "node.settled" } | { type: "nodes.exhausted" } | { type: "supervisor.unwind" } | { type: "supervisor.stop" };

export const supervisorMachine = setup({
  types: { events: {} as SupervisorEvent },
  actions: {
    /** Queue the nodes that depend on nothing. After a restart whoever hosts this queues what is ready: entry actions do not run again. */
    startReady: () => {},
    /** Queue the dependents that became ready through the node that settled. */
    startDependents: () => {},
    /** Cancel every node that has not settled. */
    cancelNodes: () => {},
    /** Cancel every node that does not run, and ask the others to stop. */
    stopNodes: () => {},
    /** Compensate the next node, in the order opposite to that in which they ended. After a restart whoever hosts this does so. */
    compensateNext: () => {},
  },
}).createMachine({
  id: "supervisor",
  description: "The phases of a DAG run: starts nodes when their dependencies complete.",
  initial: "running",
  states: {
    running: {
      description: "Nodes run; each one that settles makes its dependents ready, or blocks them.",
      entry: "startReady",
      on: {
        "node.settled": { actions: "startDependents" },
        "nodes.exhausted": "settled",
        "supervisor.unwind": { target: "stopping", actions: "stopNodes" },
        "supervisor.stop": { target: "stopped", actions: "cancelNodes" },
      },
    },
    stopping: {
      description: "What was done is to be undone: nothing starts any more, and the end of what runs is waited for.",
      on: {
        "nodes.exhausted": "unwinding",
        "supervisor.stop": { target: "stopped", actions: "cancelNodes" },
      },
    },
    unwinding: {
      description: "Compensations run, one after the other.",
      entry: "compensateNext",
      on: {
        "node.settled": { actions: "compensateNext" },
        "nodes.exhausted": "unwound",
        "supervisor.stop": { target: "stopped", actions: "cancelNodes" },
      },
    },
    settled: { type: "final", description: "Nothing runs and nothing more can start." },
    unwound: { type: "final", description: "What could be undone was." },
    stopped: { type: "final", description: "The run was cancelled or timed out; what had not settled is cancelled." },
  },
});
