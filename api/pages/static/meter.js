// The photo of a meter goes with the form: made small here, so that one tap sends number and evidence together.

export async function start(form) {
  const input = form.querySelector("input[type=file]"), note = form.querySelector("[role=status]");
  const { asText, small } = await import(form.dataset.photo);
  input.parentElement.hidden = false;
  input.addEventListener("change", async () => {
    try {
      form.elements.photo.value = await asText(await small(input.files[0]));
      note.textContent = note.dataset.ready;
    } catch {
      form.elements.photo.value = "";
      note.textContent = note.dataset.failed;
    }
  });
}
