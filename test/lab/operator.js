/** A running gateway, asked through its operator socket, and its processes. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
/** All descendants. */
export function children(pid) {
    const file = `/proc/${pid}/task`;
    if (!existsSync(file))
        return [];
    return readdirSync(file).flatMap((task) => {
        const list = join(file, task, 'children');
        const direct = existsSync(list) ? readFileSync(list, 'utf8').split(' ').filter(Boolean).map(Number) : [];
        return direct.flatMap((child) => [child, ...children(child)]);
    });
}
/** One question to a gateway's operator socket. */
export function ask(socket, request) {
    return new Promise((done, fail) => {
        let text = '';
        const connection = connect(socket);
        connection.setTimeout(3000, () => connection.destroy(new Error(`no answer from ${socket}`)));
        connection.on('error', fail);
        connection.on('connect', () => connection.write(`${JSON.stringify(request)}\n`));
        connection.on('data', (data) => {
            text += data.toString('utf8');
            if (!text.endsWith('\n'))
                return;
            connection.end();
            const answer = JSON.parse(text);
            if (answer.ok)
                done(answer.value);
            else
                fail(new Error(answer.error));
        });
        connection.on('close', () => fail(new Error(`${socket} closed`)));
    });
}
//# sourceMappingURL=operator.js.map