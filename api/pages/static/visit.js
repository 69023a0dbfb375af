// Evidence of a visit: photos made small, the customer's signature, ticks and notes. All of it waits in the queue of the steps.

const root = document.querySelector("#visit");
const order = Number(root.dataset.order);
let photos; // the module that makes photos small

async function keep(offline, path, what) {
  const note = root.querySelector("[role=status]");
  try {
    note.textContent = (await offline.enqueue({ order, path, ...what })) ? root.dataset.kept : root.dataset.waiting;
  } catch {
    note.textContent = root.dataset.full;
    return false;
  }
  return true;
}

const file = async (offline, kind, blob) => keep(offline, `/api/v1/attachments/${order}?kind=${kind}`, { type: blob.type, bytes: await blob.arrayBuffer() });

async function photo(offline, picked) {
  try {
    await file(offline, "photo", await photos.small(picked));
  } catch {
    root.querySelector("[role=status]").textContent = root.dataset.failed;
  }
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
  const counted = [...form.querySelectorAll("input[data-kind]")].filter((input) => input.value);
  if (counted.length) {
    body.parts = counted.filter((input) => Number(input.value)).map(({ dataset, value }) => ({
      kind: dataset.kind, colour: dataset.colour || null, part_number: dataset.number || null,
      quantity: Number(value), unit_price: dataset.price, consumable: dataset.consumable === "yes",
    }));
  }
  if (fields.get("signed_by")) body.signed_by = fields.get("signed_by");
  return body;
}

export async function start(offline) {
  photos = await import(root.dataset.photo);
  root.querySelector("input[type=file]").addEventListener("change", async (event) => {
    for (const picked of event.target.files) await photo(offline, picked);
    event.target.value = "";
  });
  const canvas = root.querySelector("canvas");
  const signature = draw(canvas);
  root.querySelector("#sign-clear").addEventListener("click", signature.clear);
  root.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    if (signature.drawn() && (await file(offline, "signature", await photos.png(canvas)))) signature.clear();
    await keep(offline, `/api/v1/work-orders/${order}/visit`, { body: notes(event.target) });
  });
  root.dataset.ready = "yes";
}
