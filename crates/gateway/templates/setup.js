// The one script of the sign-in pages: puts the secret of the link into the form and takes it out of the address bar.
"use strict";
(() => {
  const secret = location.hash.slice(1);
  const field = document.getElementById("code");
  if (secret === "" || field === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  field.value = secret;
  document.documentElement.className = "filled";
})();
