document.getElementById("main").append("The page is on its way.");
