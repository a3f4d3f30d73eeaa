/**
 * Which run a node waits for that was started elsewhere: what it was given says it.
 */
import { EditedInputs } from "./edited-inputs.ts";
import type { RunRecord, Store } from "../store/store.ts";
import { Progress } from "./progress.ts";
import { Results } from "./results.ts";
import { BESIDE, INPUT_KEY, openActorRow } from "./row.ts";
import { readNodes } from "./stored-nodes.ts";
import { readPlan } from "./view.ts";

/** Undefined when it cannot be told. */
export async function awaitedRunOf(store: Store, record: RunRecord, nodeId: string): Promise<string | undefined> {
  const { id, definition } = record;
  const rows = await store.readActorRange(id, "", BESIDE);
  const input = rows.find(({ key }) => key === INPUT_KEY);
  const { graph, nodes } = readNodes(record, rows, await readPlan(store, definition));
  const index = graph.find(nodeId);
  if (input?.output == null || index === undefined) return undefined;
  openActorRow(id, input);
  const edited = new EditedInputs();
  for (const { index: of, body } of nodes) edited.restore(of, body);
  const results = new Results(graph, new Progress(graph, nodes), input.output, edited);
  const node = graph.node(index);
  const outputs = new Map(rows.map((row) => [row.key, row.output]));
  const texts = await results.load(results.missing(node.reads), async (keys) => keys.map((key) => outputs.get(key) ?? "null"));
  const { runId } = results.inputOf(node, texts) as { readonly runId?: unknown };
  return typeof runId === "string" ? runId : undefined;
}
