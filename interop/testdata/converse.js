// Talks with a server in a page of a browser (http2_browser_test.go): what is sent has
// to come back. Then the page closes, if it has a code, and otherwise the server does.

function converse({ url, subprotocols, sizes, code, reason }) {
	return new Promise(resolve => {
		const socket = new WebSocket(url, subprotocols);
		socket.binaryType = "arraybuffer";
		const messages = sizes.map((size, i) => i % 2 ? "é".repeat(size / 2) : Uint8Array.from({ length: size }, (_, j) => j % 251));
		const agreed = {};
		let echoes = 0;
		let wrong = "";
		const same = (message, echo) => typeof message === "string" ? message === echo :
			message.length === echo.byteLength && new Uint8Array(echo).every((b, i) => b === message[i]);
		const finish = () => code && socket.close(code, reason);
		socket.onopen = () => {
			agreed.Subprotocol = socket.protocol;
			agreed.Extensions = socket.extensions;
			messages.forEach(message => socket.send(message));
		};
		socket.onmessage = ({ data }) => {
			if (!same(messages[echoes], data)) wrong ||= `message ${echoes} has come back otherwise`;
			if (++echoes === messages.length) finish();
		};
		socket.onclose = ({ code, reason, wasClean }) => resolve({ ...agreed, Echoes: echoes, Wrong: wrong, Code: code, Reason: reason, Clean: wasClean });
	});
}
