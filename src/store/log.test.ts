import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLogger, type LogLevel, redact } from './log.ts';

function logged(
  level: LogLevel,
  write: (log: ReturnType<typeof createLogger>) => void,
): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({
    level,
    fields: { gateway: 'gw1' },
    write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
  });
  write(log);
  return lines.map(({ time, ...rest }) => {
    assert.match(String(time), /^\d{4}-\d\d-\d\dT/);
    return rest;
  });
}

describe('log lines', () => {
  test('carry level, event, fields of the logger and of its children', () => {
    const lines = logged('info', (log) => {
      log.child({ call: 'ab' }).warn('call refused', { reason: 'no-route', cause: 1 });
      log.debug('not shown');
    });
    assert.deepEqual(lines, [
      { level: 'warn', gateway: 'gw1', call: 'ab', reason: 'no-route', cause: 1, event: 'call refused' },
    ]);
  });

  test('above debug show the last three digits of numbers, in fields and in addresses inside text', () => {
    const [line] = logged('info', (log) => {
      log.info('from sip:+43123456789@example.com', {
        caller: '+43123456789',
        party: { number: '4711', from: 'peers' },
        to: '0043123',
        line: 'INVITE sip:+4315551234@gw2 SIP/2.0',
      });
    });
    assert.deepEqual(line, {
      level: 'info',
      gateway: 'gw1',
      caller: '...789',
      party: { number: '...711', from: 'peers' },
      to: '...123',
      line: 'INVITE sip:...234@gw2 SIP/2.0',
      event: 'from sip:...789@example.com',
    });
  });

  test('show whole numbers at debug, since that is what debug is for', () => {
    const [line] = logged('debug', (log) => {
      log.debug('x', { caller: '+43123456789' });
    });
    assert.equal(line?.['caller'], '+43123456789');
  });

  test('never hold credentials or keys, not even at trace, however deep', () => {
    const secrets = {
      password: 'p1',
      nested: {
        credentials: { username: 'u', password: 'p2' },
        laneKey: new Uint8Array(32),
        list: [{ response: 'p3' }],
      },
      bytes: new Uint8Array([1, 2]),
    };
    const text = JSON.stringify(
      logged('trace', (log) => {
        log.trace('x', secrets);
      }),
    );
    assert.doesNotMatch(text, /p1|p2|p3/);
    assert.match(text, /\[2 octets\]/);
  });

  test('survive what cannot be serialised: cycles, errors, big integers', () => {
    const cycle: Record<string, unknown> = { big: 10n, error: new Error('sip:alice99@x failed') };
    cycle['self'] = cycle;
    const copy = redact(cycle, false) as Record<string, unknown>;
    assert.equal(copy['big'], '10');
    assert.equal((copy['error'] as { message: string }).message, 'sip:...e99@x failed');
    assert.doesNotThrow(() => JSON.stringify(copy));
  });

  test('follow a change of level at once, in children too', () => {
    const lines = logged('error', (log) => {
      const child = log.child({ a: 1 });
      child.info('before');
      log.setLevel('info');
      child.info('after');
    });
    assert.deepEqual(
      lines.map((line) => line['event']),
      ['after'],
    );
  });
});
