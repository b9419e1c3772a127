// What there is on the page decides what is begun.

if (document.getElementById("enroll")) import("./enroll.js");
if (document.getElementById("recover")) import("./recover.js");
