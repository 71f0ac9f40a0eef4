/** SIPp: its built-in scenarios and those in scenarios/, as caller or callee. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { source, until } from '../run.js';
import { spawnInside } from '../topology.js';
let count = 0;
export class Sipp {
    process;
    #files;
    #patience;
    constructor(options) {
        mkdirSync(options.folder, { recursive: true });
        count += 1;
        const stem = join(options.folder, `${count}-${options.scenario}`);
        this.#files = { errors: `${stem}.errors`, messages: `${stem}.messages` };
        this.#patience = options.patienceSeconds ?? 15;
        this.process = spawnInside(options.place, `sipp ${options.scenario}`, 'sipp', this.#arguments(options, stem), {
            cwd: options.folder,
        });
    }
    #arguments(o, stem) {
        const args = ['-i', o.ip, '-p', String(o.port), '-m', String(o.calls ?? 1), '-nostdin'];
        const file = join(source, 'peers/scenarios', `${o.scenario}.xml`);
        if (existsSync(file)) {
            const text = readFileSync(file, 'utf8').replace(/@([A-Z_]+)@/g, (_all, key) => {
                const value = o.values?.[key];
                if (value === undefined)
                    throw new Error(`${o.scenario}: no value for @${key}@`);
                return value;
            });
            writeFileSync(`${stem}.xml`, text);
            args.push('-sf', `${stem}.xml`);
        }
        else {
            args.push('-sn', o.scenario);
        }
        if (o.transport === 'tcp')
            args.push('-t', 't1');
        if (o.number !== undefined)
            args.push('-s', o.number);
        if (o.callId !== undefined)
            args.push('-cid_str', o.callId);
        args.push('-timeout', `${this.#patience}s`, '-timeout_error', '-recv_timeout', String(this.#patience * 1000));
        args.push('-trace_err', '-error_file', this.#files.errors, '-trace_msg', '-message_file', this.#files.messages);
        args.push(...(o.more ?? []));
        if (o.to !== undefined)
            args.push(o.to);
        return args;
    }
    /** To the end of the scenario: `ok` where each call went as it says. */
    async result() {
        const code = await this.process.wait((this.#patience + 8) * 1000);
        if (code === undefined)
            await this.process.stop('SIGKILL');
        const errors = existsSync(this.#files.errors) ? readFileSync(this.#files.errors, 'utf8') : '';
        const messages = this.messages();
        const why = code === 0
            ? ''
            : `sipp exit ${code ?? 'never'}\n${errors.slice(0, 3000)}\n${this.process.output.split('\n').slice(-4).join('\n')}\nmessages:\n${messages.slice(-6000)}`;
        return { ok: code === 0, why, messages };
    }
    messages() {
        return existsSync(this.#files.messages) ? readFileSync(this.#files.messages, 'utf8') : '';
    }
    /** Until it has got or sent something that matches. */
    async seen(pattern, ms = 8000) {
        await until(`${this.process.name} to see ${pattern}`, ms, () => pattern.test(this.messages()));
    }
}
/** host:port with the brackets of an IPv6 address. */
export function hostPort(ip, port) {
    return isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`;
}
//# sourceMappingURL=sipp.js.map