/**
 * The command line for keeping house of a store: each verb with its arguments, options and two examples.
 */
import { type Command, Option } from "commander";
import type { EndedStatus } from "../index.ts";
import type { BackupVerbOptions } from "./backup.ts";
import type { DoctorVerbOptions } from "./doctor.ts";
import type { PruneVerbOptions } from "./prune.ts";
import type { RestoreVerbOptions } from "./restore.ts";
import { type Done, examples, onStore } from "./verb-parts.ts";

const ENDED: readonly EndedStatus[] = ["completed", "cancelled", "failed", "timedOut", "quarantined"];
const EXIT_CODES = "\nExit codes: 0 done, 2 wrong command or file, 70 the store, the disk or the backup is in use, full or damaged";

export function declareHouseVerbs(program: Command, done: Done): void {
  declarePrune(program, done);
  declareBackup(program, done);
  declareRestore(program, done);
  declareDoctor(program, done);
}

function declarePrune(program: Command, done: Done): void {
  const status = new Option("--status <status...>", "runs that ended so (default: completed cancelled)").choices(ENDED);
  const command = program
    .command("prune")
    .description("delete ended runs that are old enough, beside any workers")
    .requiredOption("--older <duration>", "only runs that ended longer ago, as 30d, 12h or 90m")
    .addOption(status)
    .option("--workflow <name>", "only runs of this workflow or machine")
    .option("--dry-run", "only count them")
    .addHelpText("after", examples("pawl prune --older 30d", "pawl prune --older 90d --status failed timedOut --dry-run"))
    .addHelpText("after", "\nIt may be interrupted at any time: the next one goes on, as does a worker.")
    .addHelpText("after", EXIT_CODES)
    .action(async (options: PruneVerbOptions) => done(await (await import("./prune.ts")).prune(options)));
  onStore(command);
}

function declareBackup(program: Command, done: Done): void {
  const command = program
    .command("backup <file>")
    .description("copy the store as of this instant, beside any workers, and check the copy")
    .option("--force", "take the place of a file that is there")
    .addHelpText("after", examples("pawl backup backups/monday.db", "pawl backup backups/monday.db.zst --force"))
    .addHelpText("after", "\nA name that ends in .zst is compressed.")
    .addHelpText("after", EXIT_CODES)
    .action(async (file: string, options: BackupVerbOptions) => done(await (await import("./backup.ts")).backup(file, options)));
  onStore(command);
}

function declareRestore(program: Command, done: Done): void {
  const command = program
    .command("restore <file>")
    .description("make a backup the store again, once it is checked and nobody uses the store")
    .option("--force", "take the place of the store that is there; it is kept under another name")
    .addHelpText("after", examples("pawl restore backups/monday.db.zst", "pawl restore backups/monday.db --store pawl.db --force"))
    .addHelpText("after", EXIT_CODES)
    .action(async (file: string, options: RestoreVerbOptions) => done(await (await import("./restore.ts")).restore(file, options)));
  onStore(command);
}

function declareDoctor(program: Command, done: Done): void {
  const command = program
    .command("doctor")
    .description("examine a store: file, disk, workers, runs that do not move; changes nothing")
    .option("--full", "also what takes long: each index, and the rows of every run")
    .option("--fix", "put in order what needs no decision: epochs of dead workers, rows of pruned runs, old answers")
    .addHelpText("after", examples("pawl doctor", "pawl doctor --full --json"))
    .addHelpText("after", "\nExit codes: 0 fine, perhaps with warnings, 1 problems, 2 wrong command")
    .action(async (options: DoctorVerbOptions) => done(await (await import("./doctor.ts")).doctor(options)));
  onStore(command);
}
