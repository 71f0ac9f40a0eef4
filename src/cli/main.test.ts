import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { GatewayConfig } from '../gateway/config.ts';
import { main } from './main.ts';

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly ran: readonly GatewayConfig[];
}

async function sgw(...args: string[]): Promise<Outcome> {
  let out = '';
  let err = '';
  const ran: GatewayConfig[] = [];
  const code = await main(args, {
    run: async (config) => {
      ran.push(config);
      return undefined;
    },
    io: {
      stdout: (text) => {
        out += text;
      },
      stderr: (text) => {
        err += text;
      },
      columns: undefined,
    },
  });
  return { code, out, err, ran };
}

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'sgw-cli-'));
});
after(() => {
  rmSync(folder, { recursive: true });
});

/** A folder of its own for each test that changes what init wrote. */
async function freshPair(...options: string[]): Promise<{ dir: string; termination: string; relay: string }> {
  const dir = mkdtempSync(join(folder, 'pair-'));
  const made = await sgw('init', dir, ...options);
  assert.equal(made.code, 0, made.err);
  return { dir, termination: join(dir, 'termination.yaml'), relay: join(dir, 'relay.yaml') };
}

describe('init', () => {
  for (const [name, options] of [
    ['defaults: a trial on one machine', []],
    [
      'a real site behind static NAT with a trunk',
      [
        ...['--termination-address', '192.0.2.10', '--internet', '192.0.2.20', '--public', '198.51.100.5'],
        ...['--relay-address', '10.0.0.5', '--pbx', '10.0.0.20', '--pbx-media', '10.1.0.0/16'],
        ...['--trunk', 'sip.provider.example:5070', '--trunk-source', '203.0.113.0/24'],
        ...['--domain', 'example.com'],
      ],
    ],
    [
      'IPv6 throughout',
      [
        ...['--termination-address', '2001:db8:d::10', '--internet', '2001:db8:d::20'],
        ...['--relay-address', '2001:db8:1::5', '--pbx', '[2001:db8:1::20]:5060'],
      ],
    ],
  ] as const) {
    test(`${name}: the pair it writes passes check without a warning`, async () => {
      const { termination, relay } = await freshPair(...options);
      const checked = await sgw('check', termination, relay);
      assert.equal(checked.err, '');
      assert.equal(checked.code, 0);
      assert.match(checked.out, /ok, they fit together\n$/);
    });
  }

  test('keys and configurations with passwords are for their owner only', async () => {
    const { dir } = await freshPair();
    for (const file of ['pki/ca.key', 'pki/gw1.key', 'pki/gw2.key', 'pki/gw2-sip.key', 'relay.yaml']) {
      assert.equal(statSync(join(dir, file)).mode & 0o777, 0o600, file);
    }
    assert.equal(statSync(join(dir, 'pki')).mode & 0o777, 0o700);
  });

  test('does not overwrite: exit code 2, nothing changed; --force replaces', async () => {
    const { dir } = await freshPair();
    const before = readFileSync(join(dir, 'pki/ca.key'), 'utf8');
    const again = await sgw('init', dir);
    assert.equal(again.code, 2);
    assert.match(again.err, /already has .*--force/);
    assert.equal(readFileSync(join(dir, 'pki/ca.key'), 'utf8'), before);
    assert.equal((await sgw('init', dir, '--force')).code, 0);
    assert.notEqual(readFileSync(join(dir, 'pki/ca.key'), 'utf8'), before);
  });

  test('a wrong option is refused before anything is written', async () => {
    const dir = join(folder, 'never');
    const refused = await sgw('init', dir, '--internet', 'example.com');
    assert.equal(refused.code, 2);
    assert.match(refused.err, /^--internet: "example.com" is not an IPv4 or IPv6 address/);
    const same = await sgw('init', dir, '--signalling-port', '7061');
    assert.equal(same.code, 2);
    assert.match(same.err, /^--media-port: 7061 is the port of signalling too/);
    assert.equal(existsSync(dir), false);
  });

  test('names that would share a certificate, with each other or with the CA, are refused', async () => {
    const dir = join(folder, 'never');
    for (const names of [
      ['--relay-name', 'gw2'],
      ['--relay-name', 'gw2-sip'],
      ['--termination-name', 'ca'],
    ]) {
      const refused = await sgw('init', dir, ...names);
      assert.equal(refused.code, 2, names.join(' '));
      assert.match(refused.err, /take another name/);
    }
    assert.equal(existsSync(dir), false);
  });

  test('a folder that cannot be made is said, at once', async () => {
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    for (const impossible of ['/proc/no-such-thing', '/proc/a/b', file, join(file, 'below')]) {
      const refused = await sgw('init', impossible);
      assert.equal(refused.code, 2, refused.err);
      assert.match(refused.err, /cannot make the folder .*; choose another one/);
    }
  });

  test('--json lists what was written and the next steps', async () => {
    const made = await sgw('init', join(folder, 'json'), '--json');
    const value = JSON.parse(made.out) as { files: string[]; next: string[] };
    assert.ok(value.files.includes('pki/gw2.crt'));
    assert.ok(value.next.length > 3);
  });
});

describe('check', () => {
  test('a key others may read is an error with the command that repairs it', async () => {
    const { dir, relay } = await freshPair();
    chmodSync(join(dir, 'pki/gw1.key'), 0o640);
    const checked = await sgw('check', relay);
    assert.equal(checked.code, 2);
    assert.match(
      checked.err,
      /relay\.yaml:\d+:8: tunnel\.key: others may read .*gw1\.key \(mode 0640\); run: chmod 600 /,
    );
  });

  test('certificates of another CA are found when the pair is checked', async () => {
    const one = await freshPair();
    const other = await freshPair();
    const checked = await sgw('check', one.termination, other.relay);
    assert.equal(checked.code, 2);
    assert.match(checked.err, /termination\.yaml:\d+:7: tunnel\.ca: does not hold the CA of "gw1"/);
    assert.match(checked.err, /relay\.yaml:\d+:7: tunnel\.ca: does not hold the CA of "gw2"/);
  });

  test("a gateway with another gateway's certificate is found by name and by use", async () => {
    const { relay } = await freshPair();
    writeFileSync(relay, readFileSync(relay, 'utf8').replaceAll('pki/gw1.', 'pki/gw2.'));
    const checked = await sgw('check', relay);
    assert.match(checked.err, /gw2\.crt is not for "gw1" \(DNS:gw2\)/);
    assert.match(checked.err, /gw2\.crt may not be used by a TLS client/);
  });

  test('names and ports that do not fit together are found', async () => {
    const { termination, relay } = await freshPair();
    const edited = readFileSync(relay, 'utf8')
      .replace('peerName: gw2', 'peerName: gw9')
      .replace(':7061"', ':7062"');
    writeFileSync(relay, edited);
    const checked = await sgw('check', '--json', termination, relay);
    assert.equal(checked.code, 2);
    const value = JSON.parse(checked.out) as { ok: boolean; errors: { path: string; line: number }[] };
    assert.equal(value.ok, false);
    assert.deepEqual(
      value.errors.map((error) => error.path),
      ['tunnel.peerName', 'tunnel.media'],
    );
  });

  test('an expired certificate is an error, one that soon expires a warning', async () => {
    const { relay } = await freshPair('--days', '20');
    assert.match((await sgw('check', relay)).err, /warning: .*gw1\.crt expires on .*run: voip-sgw renew/);
  });
});

describe('certificates', () => {
  test('a second site gets a certificate, and renew issues all anew', async () => {
    const { dir, termination, relay } = await freshPair();
    assert.equal((await sgw('certificate', 'site-2', '--dir', dir)).code, 0);
    assert.equal((await sgw('certificate', 'site-2', '--dir', dir)).code, 2);
    const before = readFileSync(join(dir, 'pki/gw1.key'), 'utf8');
    const renewed = await sgw('renew', dir, '--json');
    assert.deepEqual((JSON.parse(renewed.out) as { files: string[] }).files, [
      'pki/gw1.crt',
      'pki/gw2-sip.crt',
      'pki/gw2.crt',
      'pki/site-2.crt',
    ]);
    assert.notEqual(readFileSync(join(dir, 'pki/gw1.key'), 'utf8'), before);
    assert.equal((await sgw('check', termination, relay)).code, 0);
  });
});

describe('starting a gateway', () => {
  test('hands the read configuration over', async () => {
    const { relay } = await freshPair();
    const started = await sgw('relay', '--config', relay);
    assert.equal(started.code, 0);
    assert.equal(started.ran[0]?.name, 'gw1');
  });

  test('of the other role, or of a faulty file, is refused with exit code 2', async () => {
    const { relay } = await freshPair();
    const other = await sgw('termination', '--config', relay);
    assert.equal(other.code, 2);
    assert.match(other.err, /start it with: voip-sgw relay/);
    assert.equal(other.ran.length, 0);
    assert.equal((await sgw('relay', '--config', join(folder, 'nowhere.yaml'))).code, 2);
    assert.equal((await sgw('relay')).code, 2);
    assert.equal((await sgw('frobnicate')).code, 2);
    assert.equal((await sgw('--help')).code, 0);
  });
});

describe('asking a running gateway', () => {
  /** A gateway's operator socket that gives `answers` by command. */
  async function withGateway(
    answers: Readonly<Record<string, unknown>>,
    use: (socket: string, seen: unknown[]) => Promise<void>,
  ): Promise<void> {
    const path = join(mkdtempSync(join(folder, 'run-')), 'gw.sock');
    const seen: unknown[] = [];
    const server = createServer((connection) => {
      connection.on('error', () => undefined);
      connection.on('data', (chunk: Buffer) => {
        const request = JSON.parse(chunk.toString()) as { command: string };
        seen.push(request);
        const answer = `${JSON.stringify(answers[request.command])}\n`;
        // In two pieces: an answer need not arrive at once.
        connection.write(answer.slice(0, 10));
        setImmediate(() => connection.end(answer.slice(10)));
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    try {
      await use(path, seen);
    } finally {
      server.close();
    }
  }

  const CALL = {
    call: '00112233445566778899aabbccddeeff',
    state: 'connected',
    side: 'originator',
    peer: 'users',
    site: 'gw1',
    caller: '101',
    callee: '43123',
    startedAt: '2026-11-22T08:00:00.000Z',
    connectedSeconds: 3671,
    codecs: ['PCMA'],
    streams: [{ packetsIn: 990, lostIn: 10, jitterInMs: 3.4, mosIn: 4.3 }],
  };

  test('calls prints a table with quality, and the value itself with --json', async () => {
    await withGateway({ calls: { ok: true, value: [CALL] } }, async (socket) => {
      const shown = await sgw('calls', '--socket', socket);
      assert.equal(
        shown.out,
        [
          'CALL      STATE      FROM   TO     PEER   SITE  TIME     CODEC  LOSS  JITTER  MOS',
          '00112233  connected  101 >  43123  users  gw1   1:01:11  PCMA   1.0%  3 ms    4.3',
          '1 call\n',
        ].join('\n'),
      );
      assert.deepEqual(JSON.parse((await sgw('calls', '--socket', socket, '--json')).out), [CALL]);
    });
  });

  test('the socket is found through the configuration', async () => {
    const { relay } = await freshPair();
    const shown = await sgw('calls', '--config', relay);
    assert.equal(shown.code, 1);
    assert.match(shown.err, /^no gateway is running at .*run\/gw1\.sock; start it/);
  });

  test('what the gateway refuses is shown as it says it, exit code 1', async () => {
    await withGateway({ trace: { ok: false, error: 'no call "ffff" here' } }, async (socket, seen) => {
      const shown = await sgw('trace', 'FFFF', '--socket', socket);
      assert.deepEqual([shown.code, shown.err], [1, 'no call "ffff" here\n']);
      assert.deepEqual(seen, [{ command: 'trace', call: 'ffff' }]);
    });
  });

  test('status fails where a tunnel is down, so that scripts can watch', async () => {
    const status = (state: string) => ({
      ...{ name: 'gw1', role: 'relay', draining: false, calls: 0, registrations: 0 },
      tunnels: [{ site: 'gw2', state, lanes: 2, roundTripMs: 1.25, session: 's' }],
      peers: [{ name: 'pbx', state: 'up' }],
      trunks: [{ peer: 'provider', registered: true, secondsLeft: 42, reason: 'registered' }],
      shards: [{ shard: 0, implementation: 'koffi' }],
      counters: { callsRefused: { 'no-route': 2 } },
      foreignNames: { 'X-Evil\u001b[2J': 1 },
    });
    await withGateway({ status: { ok: true, value: status('up') } }, async (socket) => {
      const up = await sgw('status', '--socket', socket);
      assert.equal(up.code, 0);
      assert.match(up.out, /gw2 +up +2 +1\.3 ms/);
      assert.match(up.out, /provider +registered, 42 s left +registered/);
      assert.match(up.out, /callsRefused +no-route +2/);
      assert.ok(!up.out.includes('\u001b'), 'names of strangers do not steer the terminal');
    });
    await withGateway({ status: { ok: true, value: status('down') } }, async (socket) => {
      assert.equal((await sgw('status', '--socket', socket)).code, 1);
    });
  });

  test('route-test passes number and origin and prints the outcome and the rules tried', async () => {
    const value = {
      summary: 'rule "out": +43123 from tunnel goes to peer trunk',
      steps: [
        { route: 'own', outcome: 'number' },
        { route: 'out', outcome: 'matches' },
      ],
    };
    await withGateway({ 'route-test': { ok: true, value } }, async (socket, seen) => {
      const shown = await sgw('route-test', '+43123', '--from', 'tunnel', '--socket', socket);
      assert.equal(shown.out, `${value.summary}\n  own: number\n  out: matches\n`);
      assert.deepEqual(seen, [{ command: 'route-test', number: '+43123', from: 'tunnel' }]);
    });
  });

  test('drain of a gateway without calls succeeds although it ends before it answers', async () => {
    const path = join(mkdtempSync(join(folder, 'run-')), 'gw.sock');
    const server = createServer((connection) => {
      connection.on('error', () => undefined);
      connection.on('data', () => connection.end());
    });
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
    try {
      const drained = await sgw('drain', '--socket', path);
      assert.deepEqual([drained.code, drained.out], [0, 'The gateway had no calls and ends.\n']);
    } finally {
      server.close();
    }
  });
});
