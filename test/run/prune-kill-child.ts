/**
 * A prune to be killed: `prune-kill-child.ts FILE NOW`. Says when it begins.
 */
import { systemClock } from "../../src/clock.ts";
import { prune } from "../../src/run/prune.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";

const [path, now] = process.argv.slice(2) as [string, string];
const store = openSqliteStore(path, { mustExist: true });
console.log("begins");
await prune(store, { ...systemClock, now: () => Number(now) }, { olderThan: "30d" });
await store.close();
