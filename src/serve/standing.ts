/**
 * The empty board of a run that is there: of a workflow with its nodes, of a machine with nothing but the machine.
 */
import type { Run, RunView } from "../index.ts";
import { Board } from "./board.ts";
import { MachineBoard } from "./machine-board.ts";
import type { Standing } from "./reporter.ts";

export async function standingOf(run: Run<unknown>, kind: RunView["kind"]): Promise<Standing> {
  return kind === "machine" ? { kind, board: new MachineBoard() } : { kind, board: new Board(await run.nodes()) };
}
