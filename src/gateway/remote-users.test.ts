import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalUri, parseUri } from '../sip/uri.ts';
import { contactText } from './remote-users.ts';

test('the answer to REGISTER lists a binding so that its phone knows it again (RFC 3261 10.2.4, 19.1.4)', () => {
  for (const text of [
    'sip:101@192.0.2.5',
    'sip:101@192.0.2.5:5062;transport=tcp;ob',
    'sips:101@phone.example.com;transport=tcp',
    'sip:101@[2001:db8::5]:5060;rinstance=0a1b;line=x',
    'sip:+49301;phone-context=a@192.0.2.5;user=phone',
    'sip:a%20b%2F%40c:secret@192.0.2.5',
    'sip:j%C3%BCrgen@192.0.2.5;maddr=192.0.2.6',
  ]) {
    const contact = parseUri(text)!;
    const listed = /^<(.*)>$/.exec(contactText(contact))?.[1] ?? '';
    assert.match(listed, /^[\x21-\x7e]+$/);
    assert.ok(equalUri(parseUri(listed)!, contact), `${text} as ${listed}`);
  }
  assert.equal(contactText(parseUri('sip:1@192.0.2.5;x-canary=1')!), '<sip:1@192.0.2.5>');
});
