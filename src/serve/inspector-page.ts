/**
 * The inspector's page: one document without anything from elsewhere. It lists actors and messages as they come, and
 * hands the messages to Stately's viewer in a window of its own, when somebody clicks and not before.
 */

export interface PageFacts {
  readonly runId: string;
  readonly workflow: string;
  readonly hasContexts: boolean;
}

/** Where Stately's viewer is. It says when it is ready, and takes messages from the window that opened it. */
export const VIEWER_URL = "https://stately.ai/inspect";

const STYLE = `
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.25rem; margin: 0; } h2 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .25rem 0; max-width: 52rem; }
button { font: inherit; padding: .25rem .75rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); padding: .15rem .75rem .15rem 0; text-align: left; vertical-align: top; }
td, code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
#log { max-height: 60vh; overflow: auto; }
`;

/** Runs in the browser. Everything that comes from the run is put in as text. */
export const SCRIPT = `
"use strict";
const byId = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
const LINES_MAX = 2000;
const messages = [];
const actors = new Map();

function row(table, cells, at) {
  const line = table.insertRow(at);
  for (const cell of cells) line.insertCell().textContent = cell;
  return line;
}
function valueText(value) {
  return value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
}
function actorRow(message) {
  let line = actors.get(message.sessionId);
  if (line === undefined) {
    const depth = message.sessionId.split("/").length - 1;
    line = row(byId("actors"), ["\\u00a0".repeat(depth * 3) + (message.name ?? ""), "", "", "", message.sessionId], -1);
    actors.set(message.sessionId, line);
  }
  return line;
}
function show(message) {
  const line = actorRow(message);
  if (message.event) line.cells[3].textContent = message.event.type;
  if (message.snapshot) {
    line.cells[1].textContent = message.snapshot.status;
    if (message.snapshot.value !== undefined) line.cells[2].textContent = valueText(message.snapshot.value);
  }
  const log = byId("messages");
  const what = message.event ? message.event.type : message.name;
  const state = message.snapshot ? message.snapshot.status + " " + valueText(message.snapshot.value) : "";
  row(log, [new Date(Number(message.createdAt)).toLocaleString(), message.type, message.sessionId, what, state], 0);
  while (log.rows.length > LINES_MAX) log.deleteRow(-1);
  byId("count").textContent = String(messages.length);
}

let viewer = null;
let sent = 0;
let isReady = false;
function pass() {
  if (!isReady || viewer === null || viewer.closed) return;
  while (sent < messages.length) viewer.postMessage(messages[sent++], "${new URL(VIEWER_URL).origin}");
}
byId("open").addEventListener("click", () => {
  isReady = false;
  sent = 0;
  viewer = window.open("${VIEWER_URL}", "_blank");
});
window.addEventListener("message", (event) => {
  if (event.origin !== "${new URL(VIEWER_URL).origin}" || event.source !== viewer || !event.data) return;
  if (event.data.type === "@statelyai.connected") { isReady = true; sent = 0; pass(); }
  if (event.data.type === "@statelyai.disconnected") isReady = false;
});

const source = new EventSource("events?token=" + encodeURIComponent(token));
source.addEventListener("open", () => (byId("link").textContent = "connected"));
source.addEventListener("error", () => (byId("link").textContent = "not connected; is pawl inspect still running?"));
source.addEventListener("message", (event) => {
  const message = JSON.parse(event.data);
  messages.push(message);
  show(message);
  pass();
});
source.addEventListener("end", () => {
  source.close();
  byId("link").textContent = "the run has ended";
});
byId("raw").href = "messages?token=" + encodeURIComponent(token);
`;

/** The page's text. Nothing of the run stands in it but its names, which are escaped. */
export function pageOf({ runId, workflow, hasContexts }: PageFacts, nonce: string): string {
  const contexts = hasContexts ? "and <strong>contexts, output and errors</strong>, since it was started with --context" : "no contexts";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(runId)} – pawl inspect</title>
<style nonce="${nonce}">${STYLE}</style>
</head>
<body>
<h1>Run ${escaped(runId)} of ${escaped(workflow)}</h1>
<p><span id="count">0</span> messages, <span id="link">connecting</span>. <a id="raw">As newline-delimited JSON</a>.</p>
<h2>In Stately's viewer</h2>
<p><button id="open" type="button">Open stately.ai/inspect and send it this run</button></p>
<p>This opens ${VIEWER_URL} in a window and sends it the messages of this run, those to come too: names of actors, states and
event types, the structure of machines, ${contexts}. They leave this page for that of another site, in your browser; nothing is sent before you click.</p>
<h2>Actors</h2>
<table><thead><tr><th>Actor</th><th>Status</th><th>State</th><th>Last event</th><th>Session</th></tr></thead><tbody id="actors"></tbody></table>
<h2>Messages, newest first</h2>
<div id="log"><table><thead><tr><th>At</th><th>Type</th><th>Session</th><th>Event or name</th><th>State</th></tr></thead><tbody id="messages"></tbody></table></div>
<script nonce="${nonce}">${SCRIPT}</script>
</body>
</html>
`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
