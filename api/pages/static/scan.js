// Reads the QR code of a job with the camera: after a tap, in this dialog, and only addresses of this site are followed.

const PLACES = /^\/(go\/[\w-]+|work-orders\/\d+|devices\/[\w.-]+)$/;
const LOOK_MS = 250;

function ours(text) {
  try {
    const address = new URL(text, location.href);
    return address.origin === location.origin && PLACES.test(address.pathname) ? address.pathname : null;
  } catch {
    return null;
  }
}

const made = (kind, about) => Object.assign(document.createElement(kind), about);

export async function scan(button) {
  const dialog = made("dialog", { className: "scan" });
  dialog.setAttribute("aria-label", button.textContent.trim());
  const video = made("video", { playsInline: true, muted: true });
  const note = made("p", { textContent: button.dataset.hint });
  note.setAttribute("role", "status");
  const close = made("button", { className: "button", textContent: button.dataset.close });
  close.addEventListener("click", () => dialog.close());
  dialog.append(video, note, close);
  document.body.append(dialog);
  let stream;
  dialog.addEventListener("close", () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    dialog.remove();
    button.focus();
  });
  dialog.showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video.srcObject = stream;
    await video.play();
  } catch {
    note.textContent = button.dataset.refused; // no camera, no permission, or no HTTPS
    return;
  }
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  while (dialog.open) {
    const [found] = await detector.detect(video).catch(() => []);
    const address = found && ours(found.rawValue);
    if (address) {
      dialog.close();
      location.assign(address);
      return;
    }
    if (found) note.textContent = button.dataset.foreign;
    await new Promise((ready) => setTimeout(ready, LOOK_MS));
  }
  for (const track of stream.getTracks()) track.stop(); // closed while the camera was starting
}
