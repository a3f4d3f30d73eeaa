/**
 * A recorded workload: which task ran how long, and after which others. The format `pawl-workload/1` is a conversion of
 * WfCommons' WfFormat (https://wfcommons.org): one JSON object with `tasks` of `{ id, type, deps, s }`.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";

const task = z.object({ id: z.string(), type: z.string(), deps: z.array(z.string()), s: z.number().min(0) });
const workload = z.object({ format: z.literal("pawl-workload/1"), name: z.string(), tasks: z.array(task) });

type Task = z.infer<typeof task>;
export type Workload = z.infer<typeof workload>;

/** Reads a file and puts its tasks in an order in which each comes after those it waits for. */
export function readWorkload(file: string): Workload {
  const read = workload.parse(JSON.parse(readFileSync(file, "utf8")));
  return { ...read, tasks: inOrder(read.tasks) };
}

function inOrder(tasks: readonly Task[]): Task[] {
  const waiting = new Map(tasks.map((task) => [task.id, task.deps.length]));
  const dependents = Map.groupBy(
    tasks.flatMap((task) => task.deps.map((id) => ({ id, task }))),
    ({ id }) => id,
  );
  const ordered = tasks.filter(({ deps }) => deps.length === 0);
  for (const { id } of ordered) {
    for (const { task } of dependents.get(id) ?? []) {
      const left = waiting.get(task.id)! - 1;
      waiting.set(task.id, left);
      if (left === 0) ordered.push(task);
    }
  }
  if (ordered.length < tasks.length) throw new Error("tasks of the file wait for each other in a circle, or for one that is not there");
  return ordered;
}

/** The longest chain of tasks that wait for each other, in seconds: no schedule can be shorter. */
export function criticalPathSeconds({ tasks }: Workload): number {
  const endsAt = new Map<string, number>();
  for (const { id, deps, s } of tasks) endsAt.set(id, s + Math.max(0, ...deps.map((dependency) => endsAt.get(dependency) ?? 0)));
  return Math.max(0, ...endsAt.values());
}
