/**
 * A node on the board: what the graph says of it, and how it stands.
 */
import type { HistoryEvent, MemberOf, NodeStatus, NodeView } from "../index.ts";
import { Tally } from "./tally.ts";

/** A node as the definition has it. */
export interface GraphNode {
  readonly id: string;
  readonly agent: string;
  readonly dependencies: readonly string[];
  /** Default 'call'. */
  readonly kind?: NodeView["kind"];
  readonly stage?: string | undefined;
  readonly memberOf?: MemberOf | undefined;
  /** Of a fork: what the node had from the first. */
  readonly kept?: NodeStatus;
  /** Of a fork: with what a group was open from the first. */
  readonly open?: { readonly items?: number; readonly branch?: string };
  /** Of a fork: the items or rounds that were kept. */
  readonly keptItems?: readonly { readonly position: number; readonly status: NodeStatus }[];
}

/** The items of a map, or the rounds of a loop. */
export interface Parts {
  readonly nodes: BoardNode[];
  readonly tally: Tally<BoardNode>;
}

export interface BoardNode {
  readonly id: string;
  readonly agent: string;
  readonly kind: NodeView["kind"];
  readonly stage: string | undefined;
  readonly memberOf: MemberOf | undefined;
  readonly dependencies: readonly string[];
  /** The map or loop of which it is a part. */
  readonly of: BoardNode | undefined;
  /** Of a map or loop. */
  readonly parts: Parts | undefined;
  status: NodeStatus;
  attempt: number;
  startedAt: number | undefined;
  endedAt: number | undefined;
  failure: { readonly code: string; readonly message: string } | undefined;
  /** When it backs off: the instant of its next attempt, once it is known. */
  retryAt: number | undefined;
  /** What its attempt has reported, once it is known. */
  progress: unknown;
  /** Of a call of a workflow or machine: the run that its attempt is. */
  childRun: string | undefined;
  /** Somebody said how it ends. */
  overridden: Pick<HistoryEvent, "outcome" | "by" | "reason"> | undefined;
  /** Of an awaited event: when its timeout strikes. */
  dueAt: number | undefined;
  /** Of a group: it was opened, and with which branch. */
  isOpened: boolean;
  branch: string | undefined;
  /** It is blocked if its choice takes it. */
  isDoomed: boolean;
  /** Dependencies that have not settled well, and one for a choice that is not made. */
  left: number;
}

const NEW = {
  attempt: 0,
  startedAt: undefined,
  endedAt: undefined,
  failure: undefined,
  retryAt: undefined,
  progress: undefined,
  childRun: undefined,
  overridden: undefined,
  dueAt: undefined,
  isOpened: false,
  branch: undefined,
  isDoomed: false,
};

export function newNode({ id, agent, dependencies, kind = "call", stage, memberOf }: GraphNode): BoardNode {
  const left = dependencies.length + (memberOf === undefined ? 0 : 1);
  const parts = kind === "map" || kind === "repeat" ? { nodes: [], tally: new Tally<BoardNode>() } : undefined;
  return { ...NEW, id, agent, kind, stage, memberOf, dependencies, of: undefined, parts, status: "waiting", left };
}

/** The item, or round, of this group at this position: it waits for nothing but its turn. */
export function itemOf(group: BoardNode, position: number): BoardNode {
  const { id, agent, stage } = group;
  const memberOf = { group: id, position };
  return {
    ...NEW,
    id: `${id}[${position}]`,
    agent,
    kind: "call",
    stage,
    memberOf,
    dependencies: [],
    of: group,
    parts: undefined,
    status: "queued",
    left: 0,
  };
}
