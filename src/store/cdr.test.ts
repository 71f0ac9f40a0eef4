import assert from 'node:assert/strict';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CdrWriter } from './cdr.ts';

describe('call records', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sgw-cdr-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const records = (file: string): unknown[] =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);

  async function until(condition: () => boolean): Promise<void> {
    for (let i = 0; i < 200 && !condition(); i++) await sleep(5);
    assert.ok(condition(), 'the condition came true within a second');
  }

  test('are one JSON object a line, in order, in a file only its owner reads, its folder made', async () => {
    const file = join(folder, 'sub', 'cdr.jsonl');
    const writer = new CdrWriter({ file, batchMs: 1 });
    for (let call = 0; call < 50; call++) writer.append({ call });
    await until(() => writer.statistics.written === 50);
    writer.append({ call: 50 });
    await writer.close();
    assert.deepEqual(
      records(file),
      Array.from({ length: 51 }, (_, call) => ({ call })),
    );
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  test('a path that cannot be written is told at the start, before the first record', async () => {
    const told: string[] = [];
    const file = join(folder, 'taken', 'cdr.jsonl');
    writeFileSync(join(folder, 'taken'), 'a file, not a folder');
    const writer = new CdrWriter({ file, onError: (message) => told.push(message) });
    await writer.open();
    assert.equal(told.length, 1);
    assert.match(told[0]!, /^call records not written to .*taken\/cdr\.jsonl: /);
    assert.equal(writer.statistics.failures, 1);
    rmSync(join(folder, 'taken'));
    writer.append({ call: 1 });
    await writer.close();
    assert.deepEqual(records(file), [{ call: 1 }], 'and written once the path is mended');
  });

  test('after a rotation go to a new file once reopened', async () => {
    const file = join(folder, 'cdr.jsonl');
    const writer = new CdrWriter({ file, batchMs: 1 });
    writer.append({ call: 1 });
    await until(() => writer.statistics.written === 1);
    renameSync(file, `${file}.1`);
    writer.append({ call: 2 });
    await until(() => writer.statistics.written === 2);
    writer.reopen();
    writer.append({ call: 3 });
    await writer.close();
    assert.deepEqual(records(`${file}.1`), [{ call: 1 }, { call: 2 }]);
    assert.deepEqual(records(file), [{ call: 3 }]);
  });

  test('go to a new file where theirs, or its folder, was deleted under them', async () => {
    const file = join(folder, 'sub', 'cdr.jsonl');
    const writer = new CdrWriter({ file, batchMs: 1 });
    for (const [call, victim] of [file, join(folder, 'sub'), undefined].entries()) {
      writer.append({ call });
      await until(() => writer.statistics.written === call + 1);
      assert.deepEqual(records(file), [{ call }]);
      if (victim !== undefined) rmSync(victim, { recursive: true });
    }
    await writer.close();
  });

  test('that cannot be written are kept, counted and written once that works again', async () => {
    const file = join(folder, 'cdr.jsonl');
    mkdirSync(file);
    const errors: string[] = [];
    const writer = new CdrWriter({
      file,
      batchMs: 1,
      retryMs: 5,
      onError: (message) => errors.push(message),
    });
    writer.append({ call: 1 });
    await until(() => writer.statistics.failures >= 2);
    assert.match(errors[0] ?? '', /EISDIR/);
    assert.equal(writer.statistics.waiting + writer.statistics.written, 1);
    rmdirSync(file);
    await until(() => writer.statistics.written === 1);
    await writer.close();
    assert.deepEqual(records(file), [{ call: 1 }]);
  });

  test('wait in bounded memory: the oldest is dropped and counted', async () => {
    const writer = new CdrWriter({ file: join(folder, 'cdr.jsonl'), maxWaiting: 3, batchMs: 60_000 });
    for (let call = 0; call < 5; call++) writer.append({ call });
    assert.deepEqual(writer.statistics, { written: 0, failures: 0, dropped: 2, waiting: 3 });
    await writer.close();
    assert.deepEqual(records(join(folder, 'cdr.jsonl')), [{ call: 2 }, { call: 3 }, { call: 4 }]);
  });

  test('start on a line of their own after a crash in the middle of one', async () => {
    const file = join(folder, 'cdr.jsonl');
    writeFileSync(file, '{"call":1}\n{"cal');
    const writer = new CdrWriter({ file });
    writer.append({ call: 2 });
    await writer.close();
    assert.equal(readFileSync(file, 'utf8'), '{"call":1}\n{"cal\n{"call":2}\n');
  });
});
