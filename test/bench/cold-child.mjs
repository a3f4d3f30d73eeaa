/**
 * A process from nothing: `cold-child.mjs pawl|xstate|xstate+zod|nothing FILE`. Says as JSON at which instant it was done.
 * NOT measured here: its end. Plain JavaScript, so that no types are stripped on the way.
 */
const [what, file] = process.argv.slice(2);

async function oneRun() {
  const [{ agent, open, workflow }, { z }] = await Promise.all([import("pawl"), import("zod")]);
  const greeter = agent({
    name: "greeter",
    input: z.object({ name: z.string() }),
    output: z.object({ text: z.string() }),
    run: async ({ name }) => ({ text: name }),
  });
  const greet = workflow({ name: "greet", input: z.object({ name: z.string() }) }, (wf) => wf.node("greet", greeter, { name: wf.input.name }).result);
  const pawl = await open(file, { workflows: [greet] });
  const run = await pawl.start(greet, { input: { name: "world" } });
  await run.result();
  return () => pawl.close();
}

async function openFile() {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(file);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  database.prepare("SELECT count(*) FROM sqlite_schema").get();
  return async () => database.close();
}

let close = async () => {};
if (what === "pawl") close = await oneRun();
else if (what !== "nothing") {
  await Promise.all([import("xstate"), what === "xstate+zod" ? import("zod") : undefined]);
  close = await openFile();
}
console.log(JSON.stringify({ doneAt: performance.timeOrigin + performance.now() }));
await close();
