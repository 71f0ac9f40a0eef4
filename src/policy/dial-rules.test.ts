import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { NumberType, Party } from '../meta/message.ts';
import type { DialPlan, RouteRule } from './dial-rules.ts';
import { compileRoutes } from './dial-rules.ts';
import { matchesPattern, patternProblem } from './number-pattern.ts';

/** `+49…` international, digits unknown, else a name. */
function party(text: string): Party {
  const numberType: NumberType = text.startsWith('+')
    ? 'international'
    : /^[0-9*#]*$/.test(text)
      ? 'unknown'
      : 'uri';
  return { number: text.replace(/^\+/, ''), numberType, privacy: 'allowed', verified: false };
}

function rule(change: Partial<RouteRule>): RouteRule {
  const base = { name: 'r', from: 'peers', match: '*', to: 'tunnel', strip: 0, prefix: '' } as const;
  return { ...base, callerStrip: 0, callerPrefix: '', ...change };
}

function plan(...rules: RouteRule[]): DialPlan {
  const result = compileRoutes(rules);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

for (const [pattern, yes, no] of [
  ['*', ['1', '+49', 'alice', ''], []],
  ['2001', ['2001'], ['200', '20011', '+2001', '']],
  ['2XXX', ['2000', '2999'], ['200', '20000', '3000', '2*00']],
  ['NX', ['20', '99'], ['10', '2']],
  ['0.', ['01', '0*'], ['0', '10', '+01']],
  ['.', ['1'], ['', '+1', 'alice']],
  ['+.', ['+1'], ['1']],
  ['+49.', ['+4930'], ['4930', '+49', '+48']],
  ['*43', ['*43'], ['43', '443']],
  ['alice', ['alice'], ['alice2', 'Alice']],
] as const) {
  test(`pattern ${pattern}`, () => {
    assert.equal(patternProblem(pattern), undefined);
    for (const number of yes) assert.ok(matchesPattern(pattern, party(number)), number);
    for (const number of no) assert.ok(!matchesPattern(pattern, party(number)), number);
  });
}

test('a name that reads as a number is judged, rewritten and called as that number', () => {
  const routes = plan(
    rule({ name: 'premium', match: '0900.', to: 'refuse:21' }),
    rule({ name: 'abroad', match: '+.', to: 'refuse:21' }),
    rule({ name: 'outside', match: '0.', strip: 1 }),
    rule({ name: 'rest', match: '*' }),
  );
  const decide = (number: string) => {
    const callee: Party = { number, numberType: 'uri', privacy: 'allowed', verified: false };
    const decision = routes.decide('peer:a', callee, party('300'));
    return decision.kind === 'refuse' ? decision.route : `${decision.route} ${decision.callee.number}`;
  };
  for (const number of ['0900123', '0900-123', '09(00)123;x=y', '0/900.123', '0,900123'])
    assert.equal(decide(number), 'premium', number);
  assert.equal(decide('+4930-1'), 'abroad');
  assert.equal(decide('0-30/1'), 'outside 301');
  for (const name of ['anna', 'a.b-c', '0900123x', 'ABBA', '+', '-', '+49x'])
    assert.equal(decide(name), `rest ${name}`, name);
});

test('a number that cannot be international, whatever it is called, is judged as what a telephone system dials', () => {
  const routes = plan(
    rule({ name: 'premium', match: '0900.', to: 'refuse:21' }),
    rule({ name: 'rest', match: '*' }),
  );
  const decide = (number: string, numberType: Party['numberType']) => {
    const decision = routes.decide(
      'peer:a',
      { number, numberType, privacy: 'allowed', verified: false },
      party('300'),
    );
    return decision.route;
  };
  assert.equal(decide('0900123', 'international'), 'premium');
  assert.equal(decide('+0900-123', 'uri'), 'premium');
  assert.equal(decide('0+900123', 'uri'), 'premium');
  assert.equal(decide('0900123a', 'uri'), 'premium');
  assert.equal(decide('49900123', 'international'), 'rest');
});

test('a type that no rule sees and a telephone network would dial by is not passed on with the called number', () => {
  const routes = plan(rule({ name: 'rest', match: '*' }));
  for (const numberType of ['national', 'subscriber'] as const) {
    const callee: Party = { number: '900123', numberType, privacy: 'allowed', verified: false };
    const decision = routes.decide('peer:a', callee, { ...party('30123'), numberType });
    assert.ok(decision.kind !== 'refuse');
    assert.deepEqual([decision.callee.number, decision.callee.numberType], ['900123', 'unknown']);
    assert.equal(decision.caller.numberType, numberType, 'the caller is for the eye');
  }
});

test('patterns: agree with a regular expression', () => {
  const pattern = fc
    .tuple(
      fc.constantFrom('', '+'),
      fc.string({ unit: fc.constantFrom(...'0129XN#'), maxLength: 6 }),
      fc.boolean(),
    )
    .map(([plus, body, open]) => `${plus}${body}${open ? '.' : ''}`)
    .filter((p) => p !== '' && p !== '+');
  const number = fc.tuple(fc.boolean(), fc.string({ unit: fc.constantFrom(...'01239#'), maxLength: 7 }));
  fc.assert(
    fc.property(pattern, number, (p, [plus, digits]) => {
      const source = p
        .replace('+', '\\+')
        .replace('.', '[0-9#]+')
        .replaceAll('X', '\\d')
        .replaceAll('N', '[2-9]');
      const text = `${plus ? '+' : ''}${digits}`;
      assert.equal(matchesPattern(p, party(text)), new RegExp(`^${source}$`).test(text), `${p} ${text}`);
    }),
    { numRuns: 3000 },
  );
});

test('first match wins, by side, callee and caller', () => {
  const p = plan(
    rule({ name: 'premium', match: '0900.', to: 'refuse:21' }),
    rule({ name: 'from-pbx', from: 'peer:pbx', match: '.', callerMatch: '2XXX', to: 'tunnel' }),
    rule({ name: 'in', from: 'tunnel', match: '2XXX', to: 'peer:pbx' }),
    rule({ name: 'in-gw1', from: 'tunnel:gw1', match: '3.', to: 'registered' }),
  );
  const at = (from: string, callee: string, caller = '2001') => p.decide(from, party(callee), party(caller));
  assert.deepEqual(at('peer:pbx', '0900123'), {
    kind: 'refuse',
    route: 'premium',
    refusal: { cause: 21, reason: 'refused-by-rule' },
  });
  assert.equal(at('peer:pbx', '030').kind, 'tunnel');
  assert.deepEqual(at('peer:pbx', '030', '9').kind, 'refuse');
  assert.equal(at('peer:other', '030').kind, 'refuse');
  assert.equal(at('tunnel:gw1', '2000').kind, 'peer');
  assert.equal(at('tunnel:gw1', '30').kind, 'registered');
  assert.equal(at('tunnel:gw3', '30').kind, 'refuse');
  assert.equal(at('tunnel', '2000').route, 'in');
  const none = at('tunnel:gw3', '9');
  assert.deepEqual(none.kind === 'refuse' && none.refusal, { cause: 1, reason: 'no-route' });
});

for (const [what, callee, change, expected] of [
  ['national to international', '030123', { strip: 1, prefix: '+49' }, ['4930123', 'international']],
  ['international to national', '+4930123', { strip: 2, prefix: '0' }, ['030123', 'unknown']],
  ['international to 00', '+4930123', { prefix: '00' }, ['004930123', 'unknown']],
  ['an access digit off', '0112', { strip: 1 }, ['112', 'unknown']],
  ['nothing to do keeps the type', '+4930', {}, ['4930', 'international']],
  ['a name stays a name', 'alice', { prefix: '9' }, ['9alice', 'uri']],
] as const) {
  test(`rewriting: ${what}`, () => {
    const decision = plan(rule(change)).decide('peer:a', party(callee), party('1'));
    assert.ok(decision.kind === 'tunnel');
    assert.deepEqual([decision.callee.number, decision.callee.numberType], expected);
  });
}

test('rewriting: what leaves no number, too long a one, or letters behind a + is refused with cause 28', () => {
  for (const [callee, change] of [
    ['12', { strip: 2 }],
    ['12', { strip: 9 }],
    ['1'.repeat(60), { prefix: '00000' }],
    ['alice', { prefix: '+49' }],
    ['', {}],
  ] as const) {
    const decision = plan(rule(change)).decide('peer:a', party(callee), party('1'));
    assert.deepEqual(
      decision.kind === 'refuse' && decision.refusal,
      { cause: 28, reason: 'rewriting' },
      callee,
    );
  }
});

test('rewriting of the caller: an unknown caller stays unknown', () => {
  const p = plan(rule({ callerStrip: 1, callerPrefix: '+49' }));
  const caller = (text: string) => {
    const decision = p.decide('peer:a', party('1'), party(text));
    return decision.kind === 'tunnel' ? decision.caller.number : decision.kind;
  };
  assert.equal(caller('030'), '4930');
  assert.equal(caller(''), '');
});

test('explain: every rule looked at, and a sentence', () => {
  const p = plan(
    rule({ name: 'in', from: 'tunnel', match: '2XXX', to: 'peer:pbx' }),
    rule({ name: 'out', match: '0.', to: 'tunnel:gw1', strip: 1, prefix: '+49' }),
  );
  const good = p.explain('peers', party('030'), party('1'));
  assert.deepEqual(good.steps, [
    { route: 'in', outcome: 'other-side' },
    { route: 'out', outcome: 'matches' },
  ]);
  assert.equal(good.summary, 'rule "out": 030 from peers goes to the tunnel to gw1 as +4930');
  assert.equal(
    p.explain('peers', party('1'), party('1')).summary,
    'no rule matches: 1 from peers is refused, cause 1 (no-route)',
  );
});

test('compiling names every rule that is wrong', () => {
  const result = compileRoutes([
    rule({ name: 'a', match: '1.2' }),
    rule({ name: 'b', to: 'refuse:200' }),
    rule({ name: 'c', to: 'elsewhere' }),
    rule({ name: 'd', prefix: '49;x=y' }),
    rule({ name: 'e', from: 'nowhere' as RouteRule['from'] }),
    rule({ name: 'fine' }),
  ]);
  assert.ok(!result.ok);
  assert.deepEqual(
    result.error.map((p) => p.route),
    ['a', 'b', 'c', 'd', 'e'],
  );
});
