/**
 * `pawl inspect`: shows a run to Stately's inspector, from its committed history. Looks only; the run need not be under way.
 */
import { EXIT } from "./exit-code.ts";
import { messagesOf } from "./inspector-feed.ts";
import { serveInspector } from "./inspector-server.ts";
import { toJson } from "./json.ts";
import { StopSignals } from "./stop-signals.ts";
import { findRun, openToLook } from "./stored.ts";

export interface InspectOptions {
  readonly port: number;
  readonly context?: true;
  readonly store?: string;
  readonly json?: true;
}

export async function inspect(id: string, options: InspectOptions): Promise<number> {
  await using pawl = await openToLook(options.store);
  const run = await findRun(pawl, id);
  const context = options.context === true;
  if (options.json) {
    const unread = new AbortController();
    process.stdout.once("error", () => unread.abort());
    for await (const messages of messagesOf(run, { context, follow: true, signal: unread.signal }))
      for (const message of messages) process.stdout.write(`${toJson(message)}\n`);
    return EXIT.completed;
  }
  const stopped = Promise.withResolvers<void>();
  const signals = new StopSignals(stopped.resolve);
  const inspector = await serveInspector(run, { port: options.port, context });
  process.stdout.write(`${inspector.url}\n`);
  process.stderr.write(
    [
      `open this address in a browser on this machine: run ${run.id}, its actors, events and states; a button there shows them in Stately's viewer`,
      `as newline-delimited JSON: ${inspector.url.replace("/?", "/messages?")}`,
      context ? "contexts, output and errors of the run are in it" : "contexts are left out; --context sends them, too",
      "Ctrl-C ends it",
      "",
    ].join("\n"),
  );
  await stopped.promise;
  await inspector.close();
  return signals.exitCode ?? EXIT.completed;
}
