import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatConfigError, loadConfig, parseConfig } from './config.ts';

const RELAY = `role: relay
name: gw1
tunnel:
  signalling: "192.0.2.10:7060"
  peerName: gw2
sip:
  listeners:
    - name: inside
      transport: udp
      address: "10.0.0.5:5060"
peers:
  - name: pbx
    host: 10.0.0.20
routes:
  - name: in
    from: tunnel
    match: "*"
    to: peer:pbx
  - name: out
    from: peers
    match: "*"
    to: tunnel
`;

const TERMINATION = `role: termination
name: gw2
tunnel:
  signalling: "192.0.2.10:7060"
  sites:
    - name: gw1
sip:
  listeners:
    - name: outside
      transport: udp
      address: "198.51.100.1:5060"
peers:
  - name: trunk
    host: sip.example.net
    sources: ["203.0.113.0/24"]
  - name: users
    sources: ["0.0.0.0/0"]
    authenticate: digest
routes:
  - name: in
    from: peers
    match: "*"
    to: tunnel
  - name: out
    from: tunnel
    match: "*"
    to: peer:trunk
`;

/** The faults of `text` as lines without the file name. */
function faults(text: string): string[] {
  const result = parseConfig(text, 'x.yaml', { files: false });
  return result.ok ? [] : result.error.map((error) => formatConfigError(error).slice('x.yaml:'.length));
}

function warnings(text: string): string[] {
  const result = parseConfig(text, 'x.yaml', { files: false });
  assert.ok(result.ok, result.ok ? '' : result.error.map(formatConfigError).join('\n'));
  return result.value.warnings.map((warning) => formatConfigError(warning).slice('x.yaml:'.length));
}

function edited(text: string, from: string, to: string): string {
  assert.ok(text.includes(from), `the sample holds ${from}`);
  return text.replace(from, to);
}

describe('a configuration file with every default', () => {
  test('both samples are accepted without warnings', () => {
    assert.deepEqual(warnings(RELAY), []);
    assert.deepEqual(warnings(TERMINATION), []);
  });

  test('defaults are those of gateway/config.ts, dependent ones derived, paths absolute', () => {
    const result = parseConfig(RELAY, '/etc/voip-sgw/relay.yaml', { files: false });
    assert.ok(result.ok);
    const { config } = result.value;
    assert.deepEqual(config.tunnel.media, { ip: '192.0.2.10', port: 7061 });
    assert.equal(config.tunnel.certificate, '/etc/voip-sgw/pki/gw1.crt');
    assert.equal(config.tunnel.key, '/etc/voip-sgw/pki/gw1.key');
    assert.equal(config.tunnel.ca, '/etc/voip-sgw/pki/ca.crt');
    assert.equal(config.tunnel.lanes, 2);
    assert.equal(config.operator.socket, '/run/voip-sgw/gw1.sock');
    assert.deepEqual(config.media.pools, [{ ip: '10.0.0.5', ports: [16384, 32767] }]);
    assert.equal(config.media.symmetric, 'signalled');
    assert.equal(config.limits.maxCalls, 2000);
    assert.equal(config.limits.maxRingSeconds, 180);
    assert.equal(config.limits.maxCallSeconds, 14400);
    assert.equal(config.peers[0]?.probeSeconds, 30);
    assert.deepEqual(config.emergency, ['112', '911']);
    assert.equal(config.limits.mediaSilenceSeconds, 300);
    assert.deepEqual(config.cdr, { refusedPerSecond: 2 });
  });

  test('"tunnel" on a termination gateway of one site is that site; a peer nobody calls is not probed', () => {
    const result = parseConfig(TERMINATION, 'x.yaml', { files: false });
    assert.ok(result.ok);
    assert.equal(result.value.config.routes[0]?.to, 'tunnel:gw1');
    assert.equal(result.value.config.peers[1]?.probeSeconds, 0);
  });
});

describe('faults say line, column, path and what to do', () => {
  const cases: readonly [name: string, text: string, expected: readonly string[]][] = [
    [
      'unknown key with a suggestion, at the key',
      edited(RELAY, '  peerName: gw2', '  peername: gw2'),
      ['5:3: tunnel.peername: there is no key "peername"; did you mean "peerName"?'],
    ],
    [
      'unknown key at the top without a near one',
      edited(RELAY, 'peers:', 'zebra: 1\npeers:'),
      [
        '11:1: zebra: there is no key "zebra"; known here: role, name, tunnel, sip, h323, media, peers, accounts, routes, limits, emergency, ownNumbers, mediaNetworks, operator, log, cdr',
      ],
    ],
    [
      'text that YAML takes for a number, as written',
      edited(RELAY, 'match: "*"', 'match: 0043'),
      ['17:12: routes[0].match: must be text; write it in quotes: "0043"'],
    ],
    [
      'a number pattern with small letters',
      edited(RELAY, 'match: "*"', 'match: "1xx"'),
      [
        '17:12: routes[0].match: "1xx" is not a number pattern: write "X" and "N" as capitals; use digits, "X" (one digit), "N" (2 to 9), "." at the end (any digits), "*" alone (everything), "+" in front (international)',
      ],
    ],
    [
      'only a port',
      edited(RELAY, '"10.0.0.5:5060"', '"5060"'),
      [
        '10:16: sip.listeners[0].address: "5060" is only a port; write ADDRESS:PORT, for example "0.0.0.0:5060"',
      ],
    ],
    [
      'IPv6 without brackets',
      edited(RELAY, '"10.0.0.5:5060"', '"2001:db8::5"'),
      [
        '10:16: sip.listeners[0].address: "2001:db8::5" has no port or no brackets; write "[2001:db8::5]:5060"',
      ],
    ],
    [
      'a host name where an address is needed',
      edited(RELAY, '"192.0.2.10:7060"', '"gw2.example.com:7060"'),
      [
        '4:15: tunnel.signalling: "gw2.example.com" is not an IPv4 or IPv6 address; host names are not resolved here',
      ],
    ],
    [
      'a missing key, at its section',
      edited(RELAY, '      transport: udp\n', ''),
      ['8:7: sip.listeners[0].transport: is missing; add "transport: ..."'],
    ],
    [
      'a key without a value',
      edited(RELAY, '    host: 10.0.0.20', '    host:'),
      ['13:5: peers[0].host: has no value; give one or take the line out'],
    ],
    [
      'a word that is not one of the possible ones',
      edited(RELAY, 'transport: udp', 'transport: upd'),
      ['9:18: sip.listeners[0].transport: "upd" is not possible; did you mean "udp"?'],
    ],
    [
      'a number out of range',
      edited(RELAY, '    host: 10.0.0.20', '    host: 10.0.0.20\n    port: 70000'),
      ['14:11: peers[0].port: must be at most 65535; this is 70000'],
    ],
    [
      'a duplicate key',
      edited(RELAY, 'name: gw1', 'name: gw1\nname: gw1'),
      ['3:1: this key stands twice in the same section; keep one of them'],
    ],
    [
      'a duplicate name',
      edited(RELAY, '    host: 10.0.0.20', '    host: 10.0.0.20\n  - name: pbx\n    host: 10.0.0.21'),
      ['14:11: peers[1].name: "pbx" is taken by peers[0]; choose another'],
    ],
    [
      'a route to a peer that is not there',
      edited(RELAY, 'to: peer:pbx', 'to: peer:pxb'),
      ['18:9: routes[0].to: there is no peer "pxb"; did you mean "pbx"?'],
    ],
    [
      'a route to a site that is not there',
      edited(TERMINATION, 'to: tunnel\n', 'to: tunnel:gw3\n'),
      ['23:9: routes[0].to: there is no site "gw3"; did you mean "gw1"?'],
    ],
    [
      'a route to a peer that cannot be called',
      edited(TERMINATION, 'to: peer:trunk', 'to: peer:users'),
      ['27:9: routes[1].to: peer "users" has no "host" to send calls to; add one or route elsewhere'],
    ],
    [
      'a call sent back where it came from',
      edited(RELAY, 'to: peer:pbx', 'to: tunnel'),
      ['18:9: routes[0].to: sends a call back where it came from; route it to a peer or refuse it'],
    ],
    [
      'a cause that Q.850 does not have',
      edited(RELAY, 'to: peer:pbx', 'to: refuse:200'),
      ['18:9: routes[0].to: 200 is no Q.850 cause; use 1 to 127, for example "refuse:21" (call rejected)'],
    ],
    [
      'a peer whose transport no listener has',
      edited(RELAY, '    host: 10.0.0.20', '    host: 10.0.0.20\n    transport: tls'),
      ['13:11: peers[0].host: no listener for transport "tls" IPv4; add one under "sip.listeners"'],
    ],
    [
      'a peer of a family no listener has',
      edited(RELAY, 'host: 10.0.0.20', 'host: "2001:db8::20"'),
      ['13:11: peers[0].host: no listener for IPv6; add one under "sip.listeners"'],
    ],
    [
      'media and signalling of the tunnel of mixed families',
      edited(RELAY, '  peerName: gw2', '  peerName: gw2\n  media: "[2001:db8::1]:7061"'),
      [
        '6:10: tunnel.media: mixes address families with signalling 192.0.2.10:7060; use the same host for both',
      ],
    ],
    [
      'advertised address of the other family',
      edited(
        RELAY,
        'address: "10.0.0.5:5060"',
        'address: "10.0.0.5:5060"\n      advertise: "[2001:db8::1]:5060"',
      ),
      [
        '11:18: sip.listeners[0].advertise: mixes address families with 10.0.0.5:5060; use one listener per family',
      ],
    ],
    [
      'a wildcard that is not advertised',
      edited(RELAY, '"10.0.0.5:5060"', '"0.0.0.0:5060"'),
      [
        '10:16: sip.listeners[0].address: a wildcard cannot be told to peers; add "advertise: ADDRESS:PORT" or listen on one address',
      ],
    ],
    [
      'a SIP listener inside the media ports',
      edited(RELAY, '"10.0.0.5:5060"', '"10.0.0.5:20000"'),
      ['10:16: sip.listeners[0].address: takes the same UDP port as the media ports; choose another'],
    ],
    [
      'a TLS listener without its files',
      edited(RELAY, 'transport: udp', 'transport: tls'),
      [
        '8:7: sip.listeners[0]: transport "tls" needs "certificate"; add it',
        '8:7: sip.listeners[0]: transport "tls" needs "key"; add it',
      ],
    ],
    [
      'a relay gateway without the name it must see',
      edited(RELAY, '  peerName: gw2\n', ''),
      ['4:3: tunnel: "peerName" is missing; add the termination gateway\'s name as in its certificate'],
    ],
    [
      'a relay gateway whose list is not closed',
      edited(RELAY, '    host: 10.0.0.20', '    host: 10.0.0.20\n    mediaNetworks: ["0.0.0.0/0"]'),
      [
        '14:21: peers[0].mediaNetworks[0]: "0.0.0.0/0" is everybody; a relay gateway needs a closed list: name the intranet\'s networks',
      ],
    ],
    [
      'a network with bits past its prefix',
      edited(RELAY, '    host: 10.0.0.20', '    host: 10.0.0.20\n    sources: ["10.0.0.7/24"]'),
      ['14:15: peers[0].sources[0]: "10.0.0.7/24" has bits set past the prefix; write "10.0.0.0/24"'],
    ],
    [
      'accounts in the DMZ',
      edited(
        TERMINATION,
        'routes:',
        'accounts:\n  - {username: a, password: longenough, number: "1"}\nroutes:',
      ),
      ['20:3: accounts: account secrets live in the intranet only; move them to the relay gateway'],
    ],
    [
      'an account at a termination gateway without a site, or of one that is not there',
      edited(
        TERMINATION,
        'routes:',
        'accounts:\n  - {username: a, number: "1"}\n  - {username: b, number: "2", site: gw9}\nroutes:',
      ),
      [
        '20:5: accounts[0]: has no "site"; accounts of the first site need not be listed here, name that of another',
        '21:38: accounts[1].site: there is no site "gw9"; did you mean "gw1"?',
      ],
    ],
    [
      'an account at a relay gateway without a password, or with a site',
      edited(
        RELAY,
        'routes:',
        'accounts:\n  - {username: a, number: "1"}\n  - {username: b, number: "2", password: longenough, site: gw1}\nroutes:',
      ),
      [
        '15:5: accounts[0]: has no "password"; add one of at least 8 characters',
        '16:60: accounts[1].site: is for the termination gateway; take it out here',
      ],
    ],
    [
      'a termination gateway nobody may dial',
      edited(TERMINATION, '  sites:\n    - name: gw1\n', ''),
      ['4:3: tunnel: nobody may dial; add "sites:" with "- name: NAME" of the relay gateway\'s certificate'],
    ],
    [
      'a port in the host of a peer',
      edited(RELAY, 'host: 10.0.0.20', 'host: "10.0.0.20:5060"'),
      [
        '13:11: peers[0].host: "10.0.0.20:5060" is neither an address nor a host name; the port has its own key "port"',
      ],
    ],
    [
      'metrics open to the network',
      `${RELAY}operator:\n  metrics: "10.0.0.5:9100"\n`,
      ['24:12: operator.metrics: metrics are served on loopback only; write "127.0.0.1:9100"'],
    ],
    ['an empty file', '', ['1:1: the file is empty; write one with `voip-sgw init DIR`']],
    [
      'text that is not YAML',
      'role: relay\n  name: x\n',
      [
        '1:7: Nested mappings are not allowed in compact mappings; this is not YAML: check indentation, quotes and colons at and above this line',
      ],
    ],
  ];
  for (const [name, text, expected] of cases) {
    test(name, () => {
      assert.deepEqual(faults(text), expected);
    });
  }

  test('several faults are all reported, in file order', () => {
    const text = edited(edited(RELAY, 'transport: udp', 'transport: x'), 'role: relay', 'role: rely');
    assert.deepEqual(
      faults(text).map((line) => line.split(':')[0]),
      ['1', '9'],
    );
  });
});

describe('whatever the file holds', () => {
  test('reading it does not throw, and every fault has a place in the file and a text', () => {
    const position = fc.nat({ max: TERMINATION.length - 1 });
    const edit = fc.record({ position, remove: fc.nat({ max: 8 }), insert: fc.string({ maxLength: 8 }) });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        const text = edits.reduce(
          (before, { position, remove, insert }) =>
            before.slice(0, position) + insert + before.slice(position + remove),
          TERMINATION,
        );
        const result = parseConfig(text, 'x.yaml', { files: false });
        if (result.ok) return;
        assert.ok(result.error.length > 0);
        const lines = text.split('\n').length;
        for (const { line, column, message } of result.error) {
          assert.ok(line >= 1 && line <= lines && column >= 1, `${line}:${column}`);
          assert.ok(message.length > 0);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('warnings', () => {
  test('a peer known by name only cannot be recognised when it calls', () => {
    const text = edited(TERMINATION, '    sources: ["203.0.113.0/24"]\n', '');
    assert.deepEqual(warnings(text), [
      '14:11: peers[0].host: is a name: calls to this peer work, requests from it get no answer until "sources" lists its networks; add them',
    ]);
  });

  test('a rule behind one that takes everything', () => {
    const text = edited(
      RELAY,
      '  - name: out',
      '  - {name: late, from: tunnel, match: "1.", to: "refuse:21"}\n  - name: out',
    );
    assert.deepEqual(warnings(text), [
      '19:5: routes[1]: is never reached: "in" above takes everything from "tunnel"; move it up',
    ]);
  });
});

describe('files named by the configuration', () => {
  test('a configuration that is not there is a fault of line 1', () => {
    const result = loadConfig('/nonexistent/relay.yaml');
    assert.ok(!result.ok);
    assert.equal(
      formatConfigError(result.error[0]!),
      '/nonexistent/relay.yaml:1:1: there is no such file; write one with `voip-sgw init DIR` or correct the path',
    );
  });

  test('what cannot be a configuration is not read: a device, a huge file', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sgw-config-'));
    try {
      const huge = join(folder, 'huge.yaml');
      writeFileSync(huge, '');
      truncateSync(huge, 2 ** 33);
      for (const file of ['/dev/zero', huge]) {
        const result = loadConfig(file);
        assert.ok(!result.ok);
        assert.match(
          formatConfigError(result.error[0]!),
          /:1:1: this is no configuration: a device, or more than 8 MB$/,
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('missing certificate, key and CA are named with their path and place', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sgw-config-'));
    try {
      const file = join(folder, 'relay.yaml');
      writeFileSync(file, RELAY);
      const result = loadConfig(file);
      assert.ok(!result.ok);
      assert.deepEqual(
        result.error.map((error) => formatConfigError(error).replaceAll(folder, 'DIR')),
        ['gw1.key', 'gw1.crt', 'ca.crt'].map((name) => {
          const key = name === 'ca.crt' ? 'ca' : name === 'gw1.key' ? 'key' : 'certificate';
          return `DIR/relay.yaml:4:3: tunnel.${key}: DIR/pki/${name} does not exist; correct the path or run: voip-sgw init`;
        }),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
