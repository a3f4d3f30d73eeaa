/**
 * Files with zstd, as streams: neither in memory as a whole, nor on the caller's thread. A compressed file is known by
 * its first bytes, not by its name.
 */
import { closeSync, createReadStream, createWriteStream, openSync, readSync } from "node:fs";
import { Transform, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { constants, crc32, createZstdCompress, createZstdDecompress } from "node:zlib";

const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** What only its owner may read. */
const PRIVATE = { flags: "wx", mode: 0o600 } as const;

export function isCompressed(path: string): boolean {
  const handle = openSync(path, "r");
  try {
    const start = Buffer.alloc(MAGIC.length);
    readSync(handle, start, 0, MAGIC.length, 0);
    return start.equals(MAGIC);
  } finally {
    closeSync(handle);
  }
}

/** Compresses a file, and says whether it comes out again as it was. */
export async function compressFile(from: string, to: string): Promise<boolean> {
  const [before, after] = [new Sum(), new Sum()];
  const params = { [constants.ZSTD_c_checksumFlag]: 1 };
  await pipeline(createReadStream(from), before, createZstdCompress({ params }), createWriteStream(to, PRIVATE));
  await pipeline(createReadStream(to), createZstdDecompress(), after, new Writable({ write: (_chunk, _encoding, done) => done() }));
  return before.length === after.length && before.crc === after.crc;
}

/** Rejects when the file is damaged or cut short. */
export async function decompressFile(from: string, to: string): Promise<void> {
  await pipeline(createReadStream(from), createZstdDecompress(), createWriteStream(to, PRIVATE));
}

/** Passes bytes on, and sums them up. */
class Sum extends Transform {
  length = 0;
  crc = 0;

  override _transform(chunk: Buffer, _: BufferEncoding, done: (error: null, chunk: Buffer) => void): void {
    this.length += chunk.length;
    this.crc = crc32(chunk, this.crc);
    done(null, chunk);
  }
}
