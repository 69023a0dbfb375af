// Evidence of a visit: photos made small, the customer's signature, ticks and notes. All of it waits in the queue of the steps.

const root = document.querySelector("#visit");
const order = Number(root.dataset.order);
const EDGE = 1600; // longest edge of a photo in pixels: readable, and small enough to wait without network

const asBlob = (canvas, type, quality) => new Promise((done) => canvas.toBlob(done, type, quality));
const asText = (blob) => new Promise((done) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result.split(",")[1]);
  reader.readAsDataURL(blob);
});

async function keep(offline, path, what) {
  const stayed = await offline.enqueue({ order, path, ...what });
  root.querySelector("[role=status]").textContent = stayed ? root.dataset.kept : root.dataset.waiting;
}

async function photo(offline, file) {
  const picture = await createImageBitmap(file);
  const scale = Math.min(1, EDGE / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(picture.width * scale);
  canvas.height = Math.round(picture.height * scale);
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  const bytes = await asText(await asBlob(canvas, "image/jpeg", 0.8));
  await keep(offline, `/api/v1/attachments/${order}?kind=photo`, { type: "image/jpeg", bytes });
}

function draw(canvas) {
  const pen = canvas.getContext("2d");
  let drawn = false;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height];
  };
  pen.lineWidth = 3;
  pen.lineCap = "round";
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    pen.lineTo(...place(event));
    pen.stroke();
    drawn = true;
  });
  return { drawn: () => drawn, clear: () => { pen.clearRect(0, 0, canvas.width, canvas.height); drawn = false; } };
}

const lines = (text) => (text || "").split("\n").map((line) => line.trim()).filter(Boolean);

function notes(form) {
  const fields = new FormData(form);
  const body = { checks: fields.getAll("check"), cause: fields.get("cause") || "unknown" };
  if (fields.get("labour")) body.labour_minutes = Number(fields.get("labour"));
  if (lines(fields.get("empties")).length) body.empties = lines(fields.get("empties"));
  if (lines(fields.get("trained")).length) body.trained = lines(fields.get("trained"));
  if (fields.get("signed_by")) body.signed_by = fields.get("signed_by");
  return body;
}

export function start(offline) {
  root.querySelector("input[type=file]").addEventListener("change", async (event) => {
    for (const file of event.target.files) await photo(offline, file);
    event.target.value = "";
  });
  const canvas = root.querySelector("canvas");
  const signature = draw(canvas);
  root.querySelector("#sign-clear").addEventListener("click", signature.clear);
  root.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (signature.drawn()) {
      const bytes = await asText(await asBlob(canvas, "image/png"));
      await keep(offline, `/api/v1/attachments/${order}?kind=signature`, { type: "image/png", bytes });
      signature.clear();
    }
    await keep(offline, `/api/v1/work-orders/${order}/visit`, { body: notes(event.target) });
  });
}
