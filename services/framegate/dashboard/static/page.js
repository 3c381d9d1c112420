// On every page of who is logged in: moments in the viewer's zone, and forms that call the API.
import "./times.js";
import "./api.js";
