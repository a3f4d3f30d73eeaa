/**
 * A worker, until its parent ends: `worker.ts STORE`. To share the runs of a file is no more than to open it.
 */
import { open } from "pawl";
import { report } from "./report.ts";

const pawl = await open(process.argv[2]!, { workflows: [report] });
process.once("disconnect", () => void pawl.close());
process.send?.("ready");
