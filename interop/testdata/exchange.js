// Exchanges messages with a server, in a page of a browser (deflate_clients_test.go).

let messages = [];

function load(all) {
	messages = all.map(({ text, binary }) => text ?? Uint8Array.from(atob(binary ?? ""), c => c.charCodeAt(0)));
	return messages.length;
}

function same(message, echo) {
	if (typeof message === "string" || typeof echo === "string") return message === echo;
	const bytes = new Uint8Array(echo);
	return bytes.length === message.length && bytes.every((b, i) => b === message[i]);
}

function exchange(url, count) {
	return new Promise(resolve => {
		const socket = new WebSocket(url);
		socket.binaryType = "arraybuffer";
		let echoes = 0;
		let failed = "";
		socket.onopen = () => messages.slice(0, count).forEach(message => socket.send(message));
		socket.onmessage = ({ data }) => {
			if (!same(messages[echoes], data)) failed ||= `message ${echoes} has come back otherwise`;
			if (++echoes === count) socket.close(1000);
		};
		socket.onclose = ({ code }) => {
			if (echoes !== count || code !== 1000) failed ||= `closed with ${code} after ${echoes} of ${count}`;
			resolve({ Extensions: socket.extensions, Failed: failed });
		};
	});
}
