/**
 * Rows of actors as earlier commits left them. A row that a commit changes or deletes is copied first, if it stood at a
 * checkpoint, with the number of that commit: it stood from its own commit until then. Large texts are stored compressed,
 * as blobs.
 */
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { type PastSpan, firstReadable, isReadable, keptFrom, lastCheckpoint, readableCommits } from "./past-span.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import { ACTOR_COLUMNS, type Calls } from "./sqlite-rows.ts";
import type { Commit, KeepPast, StoredActor } from "./store.ts";

/** Below, compression gains less than a page. */
const COMPRESSED_BYTES_MIN = 4096;

const packed = (column: string): string => `iif(octet_length(${column}) < ${COMPRESSED_BYTES_MIN}, ${column}, pack(${column}))`;
const KEEP = `INSERT INTO past (run_id, key, commit_no, until, status, body, output, checksum)
  SELECT run_id, key, commit_no, ?4, status, ${packed("body")}, ${packed("output")}, checksum
  FROM actor WHERE run_id = ?1 AND key = ?2 AND commit_no <= ?3`;
/** The first commit after which a row can have been kept. */
const FIRST_UNTIL = 2;
const TRIM = "DELETE FROM past WHERE run_id = ? AND until <= ?";
const READ_SPAN = 'SELECT commit_no AS last, past_from AS "from", past_every AS every FROM run WHERE id = ?';
const READ_PAST = `SELECT ${ACTOR_COLUMNS} FROM actor WHERE run_id = ?1 AND commit_no <= ?2
  UNION ALL SELECT ${ACTOR_COLUMNS} FROM past WHERE run_id = ?1 AND until > ?2 AND commit_no <= ?2`;

type Packed = string | Uint8Array;
type PastRow = Omit<StoredActor, "body" | "output"> & { readonly body: Packed; readonly output: Packed | null };

/** Before the commit writes its rows. Those that are newer than the last checkpoint are left. */
export function keepPast(connection: SqliteConnection, { runId, from, actors, gone = [] }: Commit, kept: KeepPast): void {
  const checkpoint = lastCheckpoint(kept.every, from);
  if (checkpoint === 0) return;
  for (const { key } of actors) connection.run(KEEP, runId, key, checkpoint, from + 1);
  for (const key of gone) connection.run(KEEP, runId, key, checkpoint, from + 1);
  const trimTo = keptFrom(kept, from);
  if (checkpoint === from && trimTo >= FIRST_UNTIL) connection.run(TRIM, runId, trimTo);
}

export function sqlitePast(connection: SqliteConnection): Calls<"readPast" | "firstPast" | "pastCommits"> {
  connection.define("pack", pack);
  const spanOf = (runId: string): PastSpan | undefined => connection.get(READ_SPAN, runId) as PastSpan | undefined;
  return {
    readPast: (runId, commitNo) =>
      connection.snapshot(() => {
        const span = spanOf(runId);
        if (span === undefined || !isReadable(span, commitNo)) return undefined;
        const rows = connection.all<PastRow>(READ_PAST, runId, commitNo);
        return rows.map(unpackRow).sort((a, b) => (a.key < b.key ? -1 : 1));
      }),
    firstPast: (runId) => {
      const span = connection.read(() => spanOf(runId));
      return span && firstReadable(span);
    },
    pastCommits: (runId) => {
      const span = connection.read(() => spanOf(runId));
      return span === undefined ? [] : readableCommits(span);
    },
  };
}

function pack(text: string | null): Packed | null {
  return text === null ? null : zstdCompressSync(Buffer.from(text));
}

function unpack(stored: Packed): string {
  return typeof stored === "string" ? stored : zstdDecompressSync(stored).toString();
}

function unpackRow(row: PastRow): StoredActor {
  return { ...row, body: unpack(row.body), output: row.output === null ? null : unpack(row.output) };
}
