/**
 * The supervisor: the phases of a DAG run. It starts nodes when their dependencies complete.
 * Which nodes are ready is counted beside it (counters are derived from rows), never in its context.
 */
import { setup } from "xstate";

export type SupervisorEvent = { type: "node.settled" } | { type: "nodes.exhausted" } | { type: "supervisor.stop" };

export const supervisorMachine = setup({
  types: { events: {} as SupervisorEvent },
  actions: {
    /** Queue the nodes that depend on nothing. After a restart whoever hosts this queues what is ready: entry actions do not run again. */
    startReady: () => {},
    /** Queue the dependents that became ready through the node that settled. */
    startDependents: () => {},
    /** Cancel every node that has not settled. */
    cancelNodes: () => {},
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
        "supervisor.stop": { target: "stopped", actions: "cancelNodes" },
      },
    },
    settled: { type: "final", description: "Nothing runs and nothing more can start." },
    stopped: { type: "final", description: "The run was cancelled or timed out; what had not settled is cancelled." },
  },
});
